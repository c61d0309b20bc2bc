# class: code
# shows: ^AttributeError: 'Frame' object has no attribute 'append'
class Frame:
    pass


Frame().append(1)
