# class: code
# shows: ^IndexError: list index out of range$
import traceback
try:
    open("/kaggle/input/none/a.csv")
except OSError:
    traceback.print_exc()
# %%
[][1]
