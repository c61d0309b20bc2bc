# The columns of yfinance's answer have two levels: what was one column is a frame. yfinance.py beside
# it gives a real pandas frame of that shape.
# class: yfinance
# shows: multiple columns to the single column
# needs: pandas
# as: notebook
import yfinance as yf
prices = yf.download(["AAPL", "MSFT"])
# %%
prices["next"] = prices["Close"]
