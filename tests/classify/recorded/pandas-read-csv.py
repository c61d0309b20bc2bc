# class: pandas_compat
# shows: ^TypeError: read_csv\(\) got an unexpected keyword argument 'squeeze'
import io
import pandas as pd
pd.read_csv(io.StringIO("a\n1"), squeeze=True)
