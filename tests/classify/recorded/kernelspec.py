# class: kernelspec
# shows: ^ValueError: No kernel name found in notebook and no override provided.$
# kernelspec: none
print(1)
