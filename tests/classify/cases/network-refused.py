# class: network_timeout
# shows: ConnectionRefusedError|URLError.*refused
import socket
import urllib.request
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
