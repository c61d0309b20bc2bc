# class: code
# shows: ^ValueError: 403 rows
raise ValueError("403 rows have no label: forbidden by the schema")
