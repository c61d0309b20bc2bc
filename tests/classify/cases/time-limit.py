# class: time_limit
# shows: time limit
# options: {"hours": 0.001}
import time
time.sleep(600)
