# class: missing_dep
# shows: ^ImportError: cannot import name 'nothing_of_that_name' from 'json'
from json import nothing_of_that_name
