# class: oom
# shows: ArrayMemoryError: Unable to allocate
import numpy as np
np.zeros((1 << 45,))
