# class: code
# shows: ^AssertionError: CUDA out of memory
assert 1 == 2, "CUDA out of memory"
