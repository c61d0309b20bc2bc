# class: yfinance
# shows: ^KeyError: 'Adj Close'$
import pandas as pd
prices = pd.DataFrame([[1.0, 2.0, 3, 4]], columns=pd.MultiIndex.from_product([["Close", "Volume"], ["AAPL", "MSFT"]]))
# %%
prices["Adj Close"]
