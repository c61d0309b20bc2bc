# class: disk_full
# shows: OSError: .*(requested and 0 written|No space left)
# needs: numpy
import numpy
with open("/dev/full", "wb") as out:
    numpy.ones(1 << 20).tofile(out)
