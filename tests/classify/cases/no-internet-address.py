# class: no_internet
# shows: Network is unreachable
# options: {"internet": false}
import socket
socket.create_connection(("192.0.2.1", 80), timeout=10)
