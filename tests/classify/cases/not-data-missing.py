# A file of the program's own.
# class: code
# shows: FileNotFoundError.*settings.yaml
open("settings.yaml")
