# class: data
# shows: ^ValueError: X has 2 features, but LinearRegression is expecting 1
# needs: sklearn
import numpy
from sklearn.linear_model import LinearRegression
model = LinearRegression().fit(numpy.array([[0.0], [1.0]]), [1.0, 2.0])
model.predict(numpy.array([[0.0, 1.0]]))
