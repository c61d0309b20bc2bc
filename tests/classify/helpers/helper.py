"""Beside each case: a service that answers as it is told, and Kaggle's client of secrets in short."""
import http.server
import threading
import urllib.request


def ask(status):
    """Ask a server of our own that answers with `status`."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(status)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.handle_request, daemon=True).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/data.csv", timeout=10) as answer:
        return answer.read()


class BackendError(Exception):
    pass


class UserSecretsClient:
    """Fails as Kaggle's does where the secret is not attached to the notebook."""

    def get_secret(self, label):
        response = {"errors": [f"No user secrets exist for kernel id 1 and label {label}."],
                    "error": {"code": 5, "details": []}, "wasSuccessful": False}
        raise BackendError(f"Unexpected response from the service. Response: {response}.")
