# Gone since pandas 1.0, so it fails with every one there is today.
# class: pandas_compat
# shows: ^AttributeError: 'DataFrame' object has no attribute 'ix'
# needs: pandas
import pandas
pandas.DataFrame({"a": [1]}).ix[0]
