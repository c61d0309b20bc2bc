# class: oom
# shows: ^MemoryError
# shows: bytearray\(4 << 30\)
# as: script notebook
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
# %%
everything = bytearray(4 << 30)
