# What keeps yfinance from its prices is the network.
# class: network_timeout
# next: retry
# shows: DNSError: .*Could not resolve host
import yfinance as yf
yf.Ticker("AAPL").history(period="1d", raise_errors=True)
