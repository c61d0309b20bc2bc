# class: oom
# shows: MemoryError: Unable to allocate
import numpy as np
np.zeros((1 << 45,))
