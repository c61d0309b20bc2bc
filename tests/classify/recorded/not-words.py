# Only words in the output; what ended it is another thing.
# class: code
# shows: ^ZeroDivisionError: division by zero$
import sys
print("CUDA out of memory. Killed. Connection timed out")
print("No module named 'torch'", file=sys.stderr)
print('[{"stream_name":"stderr","time":1.0,"data":"MemoryError\\n"}]')
# %%
1 / 0
