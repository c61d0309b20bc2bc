# class: network_timeout
# next: retry
# shows: ^(requests.exceptions.)?ReadTimeout: .*Read timed out
import socket
import requests
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
# %%
requests.get(f"http://127.0.0.1:{s.getsockname()[1]}/", timeout=0.2)
