# class: network_timeout
# shows: ^TimeoutError: timed out
# as: script notebook
import socket
import urllib.request
# %%
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    s.listen()
    urllib.request.urlopen(f"http://127.0.0.1:{s.getsockname()[1]}/", timeout=0.1)
