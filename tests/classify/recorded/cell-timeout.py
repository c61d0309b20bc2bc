# class: time_limit
# shows: CellTimeoutError: A cell timed out while it was being executed
# papermill: --execution-timeout 2
import time
time.sleep(600)
