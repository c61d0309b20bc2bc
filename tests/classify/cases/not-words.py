# Not memory, not a package, not the network: only words in the output.
# class: code
# shows: ^ValueError: invalid literal
# as: script notebook
print("MemoryError: CUDA out of memory")
print("Killed")
print("ModuleNotFoundError: No module named 'torch'")
print("connection timeout; [Errno -3] Temporary failure in name resolution")
print("403 Forbidden; No space left on device; contains NaN")
# %%
int("x")
