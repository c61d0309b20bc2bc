# class: disk_full
# says: Your notebook tried to use more disk space than is available.
# shows: ^Your notebook tried to use more disk space
print("checkpoint 400")
