# class: oom
# says: Your notebook tried to allocate more memory than is available. It has restarted.
# shows: ^Your notebook tried to allocate more memory
print("epoch 1")
