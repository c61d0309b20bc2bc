# The service stopped it: the exception that the notebook handled before does not matter.
# class: time_limit
# says: Your notebook was stopped because it exceeded the max allowed execution duration.
# shows: ^Your notebook was stopped because it exceeded the max allowed execution duration
import traceback
try:
    import a_module_that_nobody_has
except ImportError:
    traceback.print_exc()
print("epoch 1")
