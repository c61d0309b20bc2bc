# class: network_timeout
# next: retry
# shows: ^(requests.exceptions.)?ConnectionError: HTTPSConnectionPool.*(resolve|resolution)
import requests
# %%
requests.get("https://no-such-host.invalid/data.csv", timeout=10)
