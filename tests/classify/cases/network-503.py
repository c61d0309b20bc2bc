# class: network_timeout
# shows: HTTPError: HTTP Error 503
import helper
helper.ask(503)
