# class: code
# shows: ^ValueError: timeout 5
timeout = 5
connection = "killed"
raise ValueError(f"timeout {timeout}: the connection was {connection} for memory")
