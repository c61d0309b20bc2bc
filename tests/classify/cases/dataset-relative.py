# class: dataset_missing
# shows: No such file or directory: '../input/prices.csv'
open("../input/prices.csv")
