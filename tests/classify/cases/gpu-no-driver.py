# class: gpu
# shows: OSError: libcuda.so.99: cannot open shared object file
import ctypes
ctypes.CDLL("libcuda.so.99")
