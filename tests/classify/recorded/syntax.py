# class: code
# shows: ^SyntaxError
def broken(:
    pass
