# class: missing_dep
# shows: ^ModuleNotFoundError: No module named 'a_module_that_nobody_has'$
# as: script notebook
print("No such file or directory; CUDA out of memory")
# %%
import a_module_that_nobody_has
