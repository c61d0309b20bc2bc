# Behaves as pandas 2 does, for systems that have an older one: the message is Python's own. The real
# thing is among the recorded logs.
# class: pandas_compat
# shows: ^AttributeError: 'DataFrame' object has no attribute 'append'
class DataFrame:
    def __init__(self, rows):
        self.rows = rows


frame = DataFrame([1])
frame.append(DataFrame([2]))
