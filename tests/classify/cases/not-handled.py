# What went wrong was handled, and said so: a success.
# class: none
import traceback
try:
    import a_module_that_nobody_has
except ImportError:
    traceback.print_exc()
try:
    open("/kaggle/input/none/train.csv")
except OSError:
    traceback.print_exc()
print("went on without them")
