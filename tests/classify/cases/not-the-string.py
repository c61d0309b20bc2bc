# class: code
# shows: ^TypeError
message = """Traceback (most recent call last):
  File "train.py", line 9, in <module>
MemoryError
"""
print(message)
len(5)
