# class: data
# shows: ^ValueError: (could not convert string to float|dtype='numeric' is not compatible)
# needs: sklearn
from sklearn.linear_model import LinearRegression
LinearRegression().fit([["male"], ["female"]], [0.0, 1.0])
