# class: code
# shows: ^KeyError: 'rate'
import traceback
try:
    bytearray(1 << 62)
except MemoryError:
    traceback.print_exc()
print("tried again with less")
{"lr": 1}["rate"]
