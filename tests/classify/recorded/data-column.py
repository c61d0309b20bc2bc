# class: data
# shows: ^KeyError: 'Fare'$
import pandas as pd
df = pd.DataFrame({"Age": [1.0]})
# %%
df["Fare"]
