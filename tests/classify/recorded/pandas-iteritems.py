# class: pandas_compat
# shows: ^AttributeError: 'Series' object has no attribute 'iteritems'
import pandas as pd
for key, value in pd.Series([1, 2]).iteritems():
    print(key, value)
