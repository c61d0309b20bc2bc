# class: pandas_compat
# shows: ^AttributeError: 'DataFrame' object has no attribute 'append'
import pandas as pd
df = pd.DataFrame({"a": [1]})
# %%
df = df.append({"a": 2}, ignore_index=True)
