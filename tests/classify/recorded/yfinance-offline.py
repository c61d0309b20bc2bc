# class: yfinance network_timeout
# shows: .
import yfinance as yf
yf.Ticker("AAPL").history(period="1d", raise_errors=True)
