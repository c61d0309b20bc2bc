# class: no_internet
# shows: URLError: <urlopen error \[Errno -[0-9]+\]
# options: {"internet": false}
# as: script notebook
import urllib.request
# %%
urllib.request.urlopen("http://data.example.com/prices.csv", timeout=10)
