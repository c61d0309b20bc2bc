# class: gpu
# next: backend
# shows: CudaSupportError
from numba import cuda
cuda.to_device([1, 2])
