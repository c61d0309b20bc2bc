# class: disk_full
# shows: OSError: \[Errno 28\] No space left on device
# as: script notebook
out = open("/dev/full", "wb", buffering=0)
# %%
out.write(b"x")
