# class: pandas_compat
# shows: ^TypeError: read_csv\(\) got an unexpected keyword argument 'tupleize_cols'
# needs: pandas
import io
import pandas
pandas.read_csv(io.StringIO("a,b"), tupleize_cols=True)
