# class: pandas_compat
# shows: ^AttributeError: module 'numpy' has no attribute '(float|typeDict)'
# needs: numpy
import numpy
numpy.float if not hasattr(numpy, "float") else numpy.typeDict
