# class: code
# shows: ^SyntaxError
# as: script notebook
print("out of memory")
# %%
def broken(:
    pass
