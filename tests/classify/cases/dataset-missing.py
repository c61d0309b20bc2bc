# class: dataset_missing
# shows: No such file or directory: '/kaggle/input/titanic/train.csv'
# needs: pandas
# as: script notebook
import pandas
# %%
pandas.read_csv("/kaggle/input/titanic/train.csv")
