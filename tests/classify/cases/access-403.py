# class: access
# shows: HTTPError: HTTP Error 403
# as: script notebook
import helper
# %%
helper.ask(403)
