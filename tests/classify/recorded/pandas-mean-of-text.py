# class: pandas_compat
# shows: ^TypeError: agg function failed
import pandas as pd
pd.DataFrame({"name": ["x", "y"], "age": [1, 2]}).groupby("age").mean()
