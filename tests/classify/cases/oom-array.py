# class: oom
# shows: ^numpy.core._exceptions.*ArrayMemoryError: Unable to allocate
# needs: numpy
import numpy
numpy.zeros((1 << 45,))
