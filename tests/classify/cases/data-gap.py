# class: data
# shows: ^ValueError: Input y contains NaN
# needs: sklearn
import numpy
from sklearn.linear_model import LinearRegression
LinearRegression().fit(numpy.array([[0.0], [1.0]]), [1.0, float("nan")])
