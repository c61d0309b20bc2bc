# class: missing_dep
# shows: ^ModuleNotFoundError: No module named 'timm_of_yesterday'$
print("importing")
# %%
import timm_of_yesterday
