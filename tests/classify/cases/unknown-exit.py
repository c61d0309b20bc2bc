# class: unknown
# shows: the last words before it went
import sys
print("the last words before it went")
sys.exit(3)
