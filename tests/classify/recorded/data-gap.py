# class: data
# shows: ^ValueError: Input y contains NaN
from sklearn.ensemble import RandomForestRegressor
RandomForestRegressor().fit([[0.0], [1.0]], [1.0, float("nan")])
