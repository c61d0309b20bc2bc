# class: pandas_compat
# shows: ^AttributeError: `np.float_` was removed in the NumPy 2.0 release
import numpy as np
x = np.array([1], dtype=np.float_)
