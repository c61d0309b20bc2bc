# class: data
# shows: ^KeyError: 'Fare'
# needs: pandas
# as: script notebook
import pandas
passengers = pandas.DataFrame({"Age": [22.0, 38.0]})
# %%
passengers["Fare"].mean()
