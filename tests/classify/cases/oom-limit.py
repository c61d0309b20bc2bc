# class: oom
# shows: memory limit
# options: {"memory_gb": 0.2}
kept = []
while True:
    kept.append(bytearray(b"x") * (8 << 20))
