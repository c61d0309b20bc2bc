# class: access
# shows: HTTPError: 403 Client Error
import http.server
import threading
import requests


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(403)


server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.handle_request, daemon=True).start()
# %%
requests.get(f"http://127.0.0.1:{server.server_port}/api/v1/competitions/data/download-all/titanic").raise_for_status()
