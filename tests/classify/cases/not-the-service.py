# The very words with which Kaggle says that it stopped a notebook, but said by the program.
# class: code
# shows: ^RuntimeError: Your notebook was stopped
# as: script notebook
raise RuntimeError("Your notebook was stopped because it exceeded the max allowed execution duration.")
