# class: code
# shows: ^KeyError: 'Adj'
{"Close": 1}["Adj"]
