# Nobody listens on a port of its own machine: that it had no internet explains nothing.
# class: network_timeout
# shows: refused
# options: {"internet": false}
import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
socket.create_connection(("127.0.0.1", port), timeout=10)
