"""The fake as a process of its own, for tests: starts it, speaks to it, ends it."""
import base64
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time

from world import OFFICIAL_USERS

HERE = pathlib.Path(__file__).parent


def notebook(*cells):
    """A notebook with these code cells."""
    return {"cells": [{"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
                      for source in cells],
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
            "nbformat": 4, "nbformat_minor": 5}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Service:
    def __init__(self, script=None):
        words = [sys.executable, str(HERE / "main.py"), "--with-parent"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline())
        if script:
            self.script(script)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()

    # ---- Requests ----

    def ask(self, verb, path, body=None, headers=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        try:
            connection.request(verb, path, body, headers or {})
            reply = connection.getresponse()
            return Answer(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def url(self, verb, url, body=None, headers=None):
        """A request to a URL of the fake: the storage's, mostly."""
        host, _, path = url.removeprefix("http://").partition("/")
        return self.ask(verb, "/" + path, body, headers, int(host.rpartition(":")[2]))

    def call(self, method, args=None, user="alice", prefix="/api/v1", service=None):
        service = service or service_of(method)
        headers = {"Content-Type": "application/json", **self.authorization(user)}
        return self.ask("POST", f"{prefix}/{service}/{method}", json.dumps(args or {}), headers)

    def authorization(self, user, scheme="Bearer"):
        if not user:
            return {}
        known = self.user(user)
        if scheme == "Bearer":
            return {"Authorization": f"Bearer {known['token']}"}
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{known['key']}".encode()).decode()}

    @staticmethod
    def user(name):
        return OFFICIAL_USERS[name]

    # ---- Control ----

    def script(self, what):
        answer = self.ask("POST", "/_fake/script", json.dumps(what))
        if answer.status != 200:
            raise ValueError(answer.body.decode())

    def clock(self, **what):
        return self.ask("POST", "/_fake/clock", json.dumps(what)).json

    def log(self):
        return self.ask("GET", "/_fake/log").json

    def leaks(self):
        return self.ask("GET", "/_fake/leaks").json["leaks"]

    def effects(self, kind=None):
        return [e for e in self.log()["effects"] if kind in (None, e["effect"])]

    # ---- What most tests do ----

    def push(self, slug, text="print(1)\n", **more):
        args = {"slug": slug if "/" in slug else f"alice/{slug}", "newTitle": slug.replace("-", " "), "text": text, "language": "python",
                "kernelType": "script", "isPrivate": True, **more}
        return self.call("SaveKernel", args)

    def status(self, slug, version=None):
        args = {"userName": "alice", "kernelSlug": slug, **({"versionLabel": f"v{version}"} if version else {})}
        return self.call("GetKernelSessionStatus", args).json.get("status", "QUEUED")

    def until(self, slug, *wanted, version=None):
        end = time.monotonic() + 60
        while True:
            status = self.status(slug, version)
            if status in wanted:
                return status
            if time.monotonic() > end:
                raise TimeoutError(f"{slug} stays {status}")
            os.sched_yield()


SERVICES = {"StartBlobUpload": "blobs.BlobApiService", "IntrospectToken": "security.OAuthService",
            "GenerateAccessToken": "users.AccountService"}


def service_of(method):
    if method in SERVICES:
        return SERVICES[method]
    if "Dataset" in method:
        return "datasets.DatasetApiService"
    if any(word in method for word in ("Competition", "Data", "Submission", "Leaderboard")):
        return "competitions.CompetitionApiService"
    return "kernels.KernelsApiService"
