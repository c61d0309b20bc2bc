# class: yfinance
# shows: ^KeyError: 'Adj Close'
# needs: pandas
import pandas
columns = pandas.MultiIndex.from_product([["Close", "Volume"], ["AAPL", "MSFT"]])
prices = pandas.DataFrame([[1.0, 2.0, 3, 4]], columns=columns)
prices["Adj Close"].pct_change()
