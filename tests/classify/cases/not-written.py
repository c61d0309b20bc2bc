# It is where to write that is missing, not what to read.
# class: code
# shows: FileNotFoundError.*results/out.csv
open("results/out.csv", "w")
