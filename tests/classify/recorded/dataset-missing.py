# class: dataset_missing
# shows: FileNotFoundError: \[Errno 2\] No such file or directory: '/kaggle/input/titanic/train.csv'
import pandas as pd
# %%
train = pd.read_csv("/kaggle/input/titanic/train.csv")
