"""HTTP: three ports. The service itself, the storage, and a stranger to whom a redirect may lead.

Requests in absolute form (a client that was given this server as its proxy) are taken like any other, so the service's
port serves the storage's paths as well.
"""
import http.server
import json
import re
import socket
import struct
import threading
import time
import traceback
import urllib.parse

import account
import clock
import competitions
import datasets
import kernels
from faults import fault_reply, is_before
from reply import Refusal, Reply, error_reply, json_reply, without_defaults

SERVICES = {
    "kernels.KernelsApiService": kernels.METHODS, "datasets.DatasetApiService": datasets.METHODS,
    "blobs.BlobApiService": datasets.BLOBS, "competitions.CompetitionApiService": competitions.METHODS,
    "security.OAuthService": account.OAUTH, "users.AccountService": account.USERS,
}
OPEN_TO_ALL = ("IntrospectToken", "GenerateAccessToken", *datasets.ANONYMOUS)
LARGEST_BODY = 256 << 20
PIECE = 64 << 10


class Call:
    """One request, once it is read."""

    def __init__(self, handler, body):
        parts = urllib.parse.urlsplit(handler.path)
        self.verb, self.headers, self.body = handler.command, handler.headers, body
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.host = parts.netloc or handler.headers.get("Host") or "localhost"
        self.whole = True  # the body came to its end


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "fake-kaggle", ""
    timeout = 120
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve()

    do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_GET

    def serve(self):
        self.answered = False
        try:
            call = Call(self, None)
            call.body = self.read_body(call)
            self.server.app.handle(self, call)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:  # a bug of the fake must be seen, not hang a test
            traceback.print_exc()
            if not self.answered:
                self.send(error_reply(500, "The fake service broke; its stderr says how", "text"))

    # ---- Reading ----

    def read_body(self, call):
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return self.read_chunks()
        size = int(self.headers.get("Content-Length") or 0)
        if size > LARGEST_BODY:
            self.close_connection = True
            size = LARGEST_BODY
        data = bytearray()
        try:
            while len(data) < size:
                piece = self.rfile.read1(min(PIECE, size - len(data)))
                if not piece:
                    break
                data += piece
        except (ConnectionError, TimeoutError):
            pass
        call.whole = len(data) == size
        return bytes(data)

    def read_chunks(self):
        data = b""
        while True:
            size = int(self.rfile.readline(100).split(b";")[0], 16)
            data += self.rfile.read(size)
            self.rfile.readline(10)
            if size == 0:
                return data

    # ---- Answering ----

    def reset(self):
        """Ends the connection with a RST."""
        self.answered = self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.wfile = open("/dev/null", "wb")

    def head(self, reply, size):
        self.answered = True
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if size is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(size))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def send(self, reply, fault=None):
        body = reply.body
        if hasattr(body, "next_piece"):
            return self.send_stream(reply)
        size = len(body) if isinstance(body, bytes) else body.size
        self.head(reply, size)
        if self.command == "HEAD":
            return None
        until = min(size, fault["bytes"]) if fault and fault["kind"] == "truncate" else size
        step, pause = (fault.get("bytes", 16), fault.get("seconds", 0.05)) if fault and fault["kind"] == "drip" else (PIECE, 0)
        self.pour(body, until, step, pause)
        if until < size:
            self.close_connection = True
        return None

    def pour(self, body, until, step, pause):
        sent = 0
        while sent < until:
            piece = body[sent:min(until, sent + step)] if isinstance(body, bytes) else body.read(sent, min(step, until - sent))
            if not piece:
                self.close_connection = True  # less is there than was announced
                return
            self.wfile.write(piece)
            sent += len(piece)
            if pause:
                self.wfile.flush()
                time.sleep(pause)

    def send_stream(self, reply):
        self.head(reply, None)
        stream, idle = reply.body, time.monotonic()
        while True:
            try:
                piece = stream.next_piece()
            except kernels.Cut:
                self.close_connection = True
                return
            if piece is None:
                if time.monotonic() - idle > stream.world.modes["idle_cut_seconds"]:
                    self.close_connection = True
                    return
                time.sleep(0.02)
                continue
            idle = time.monotonic()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            if not piece:
                return


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 256

    def __init__(self, port, app):
        self.app = app
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        pass

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class App:
    """What one of the ports does with a call."""

    def __init__(self, world):
        self.world, self.elsewhere = world, ""

    def handle(self, handler, call):
        world = self.world
        if call.path.startswith("/_fake/"):
            handler.send(control(world, call))
            return
        user, scheme = world.authenticate(call.headers.get("Authorization"))
        entry = {"at": None, "method": call.verb, "path": call.path, "auth": scheme, "user": user and user.slug}
        self.watch(call, scheme)
        args, method = self.arguments(call), self.name(call)
        fault = world.faults.take(method, args if isinstance(args, dict) else {})
        reply = self.reply_or_fault(call, user, scheme, args, method, fault)
        self.note(entry, method, args, reply, fault)
        self.answer(handler, call, reply, fault)

    def reply_or_fault(self, call, user, scheme, args, method, fault):
        """None: the connection is reset."""
        if is_before(fault):
            stored = self.keep_part(call, fault)
            if fault["kind"] == "reset":
                return None
            return stored or fault_reply(fault, self.elsewhere)
        if fault and fault["kind"] == "delay" and fault.get("when") == "before":
            time.sleep(fault.get("seconds", 1.0))
        reply = self.act(call, user, scheme, args, method)
        if fault and fault["kind"] == "double":
            second = self.act(call, user, scheme, args, method)
            reply = reply if fault.get("answer") == "first" else second
        if fault and fault["kind"] == "reset":
            return None
        if fault and fault["kind"] in ("status", "garbage", "redirect"):
            return fault_reply(fault, self.elsewhere)
        return reply

    def answer(self, handler, call, reply, fault):
        if fault and fault["kind"] == "delay" and fault.get("when") != "before":
            time.sleep(fault.get("seconds", 1.0))
        if not call.whole:
            handler.close_connection = True
            return
        if reply is None:
            handler.reset()
        else:
            handler.send(reply, fault)

    def keep_part(self, call, fault):
        """An upload that fails after so many bytes. A 308 is the storage's own word for that."""
        storage = self.world.storage
        upload = storage.upload(call.query) if call.verb == "PUT" else None
        if upload is None:
            return None
        if fault.get("store"):
            storage.interrupted(upload, call.headers, call.body, fault["store"])
        return storage.progress(upload) if fault.get("code") == 308 else None

    # ---- What is asked ----

    def name(self, call):
        if call.path.startswith("/storage/"):
            return "Storage"
        if call.path.startswith("/upload/"):
            return "PUT"
        rest = api_path(call.path) or ""
        if rest.startswith("kernels/logs/stream/"):
            return "LogStream"
        if rest.startswith("kernels/output/"):
            return "OutputDownload"
        return rest.rpartition("/")[2] or "?"

    def arguments(self, call):
        if call.verb != "POST" or not api_path(call.path):
            parts = (api_path(call.path) or "").split("/")
            return {"kernelSlug": parts[-1]} if parts[0] == "kernels" else {}
        try:
            return json.loads(call.body or b"{}")
        except ValueError:
            return None

    def act(self, call, user, scheme, args, method):
        try:
            with self.world.lock:
                self.world.settle()
                answer = self.route(call, user, scheme, args, method)
        except Refusal as refusal:
            return error_reply(refusal.status, refusal.message)
        if isinstance(answer, Reply):
            return answer
        return json_reply(without_defaults(answer) if self.world.modes["omit_defaults"] else answer)

    def route(self, call, user, scheme, args, method):
        if method in ("Storage", "PUT"):
            return self.at_storage(call)
        rest = api_path(call.path)
        if rest is None:
            raise Refusal(404, "Not found")
        if call.verb == "GET":
            return self.at_plain_path(call, user, rest)
        return self.at_rpc(call, user, scheme, rest, args)

    def at_storage(self, call):
        storage = self.world.storage
        if call.headers.get("Authorization"):
            return Reply(400, b"Only one auth mechanism allowed", "text/plain")
        if call.path.startswith("/storage/"):
            return storage.get(call.query, call.headers) if call.verb == "GET" else Reply(403)
        upload = storage.upload(call.query)
        if call.verb != "PUT" or upload is None:
            return Reply(404, b"", "text/plain")
        if not call.whole:
            storage.interrupted(upload, call.headers, call.body)
            return Reply(503, b"", "text/plain")
        return storage.put(upload, call.headers, call.body)

    def at_plain_path(self, call, user, rest):
        """The few paths that are not RPCs."""
        if user is None:
            raise Refusal(401, "Unauthorized")
        match = re.fullmatch(r"kernels/logs/stream/([^/]+)/([^/]+)", rest)
        if match:
            return kernels.stream_log(self.world, user, {"userName": match[1], "kernelSlug": match[2]})
        match = re.fullmatch(r"kernels/output/download/([^/]+)/([^/]+)", rest)
        if match:
            base = f"http://{call.host}{call.path[:-len(rest) - 1]}"
            return kernels.output_redirect(self.world, user, match[1], match[2], call.query, base)
        match = re.fullmatch(r"kernels/output/download_zip/(\d+)", rest)
        if match:
            return kernels.download_zip(self.world, user, {"kernelSessionId": match[1]})
        raise Refusal(404, "Not found")

    def at_rpc(self, call, user, scheme, rest, args):
        service, _, method = rest.partition("/")
        act = SERVICES.get(service, {}).get(method)
        if act is None or call.verb != "POST":
            raise Refusal(404, "Not found")
        refused_key = scheme == "basic" and method in self.world.modes["bearer_only"]
        given = scheme != "none" and method not in ("IntrospectToken", "GenerateAccessToken")
        if (user is None and (given or method not in OPEN_TO_ALL)) or refused_key:
            raise Refusal(401, "Unauthorized")
        if not isinstance(args, dict):
            raise Refusal(400, "Invalid JSON payload")
        return act(self.world, user, args)

    # ---- What is remembered ----

    def note(self, entry, method, args, reply, fault):
        named = {k: args[k] for k in NAMES if isinstance(args, dict) and k in args}
        entry.update(call=method, args=named, status=reply.status if reply else "reset")
        if fault:
            entry["fault"] = fault["kind"]
        with self.world.lock:
            entry["at"] = json_time(self.world)
            self.world.requests.append(entry)

    def watch(self, call, scheme):
        """An Authorization header, or a planted secret, where it must not be."""
        leaks = []
        if scheme != "none" and call.path.startswith(("/storage/", "/upload/")):
            leaks.append("Authorization sent to the storage")
        exempt = call.path.endswith(("/IntrospectToken", "/GenerateAccessToken"))
        where = call.path + urllib.parse.urlencode(call.query)
        for secret in self.world.planted():
            if secret in where:
                leaks.append("a secret in a URL")
            if not exempt and secret.encode() in call.body:
                leaks.append("a secret in a body")
        self.leak(call, leaks)

    def leak(self, call, what):
        with self.world.lock:
            self.world.leaks += [{"what": w, "method": call.verb, "path": call.path} for w in what]


NAMES = ("slug", "userName", "kernelSlug", "versionLabel", "kernelSessionId", "ownerSlug", "datasetSlug",
         "competitionName", "fileName", "pageToken", "pageSize", "kernelExecutionType", "sessionTimeoutSeconds",
         "machineShape", "enableGpu", "isPrivate", "type", "name", "contentLength")


class Stranger(App):
    """Another port: nothing that is sent here may carry a credential."""

    def handle(self, handler, call):
        user, scheme = self.world.authenticate(call.headers.get("Authorization"))
        if call.headers.get("Authorization"):
            self.leak(call, ["Authorization sent to another port"])
        self.watch(call, "none")
        self.note({"method": call.verb, "path": call.path, "auth": scheme, "user": user and user.slug}, "Stranger", {},
                  Reply(200), None)
        handler.send(json_reply({}))


class StoragePort(App):
    """The storage's own port knows no service."""

    def route(self, call, user, scheme, args, method):
        if method not in ("Storage", "PUT"):
            raise Refusal(404, "Not found")
        return self.at_storage(call)

    def handle(self, handler, call):
        if call.headers.get("Authorization") and not call.path.startswith(("/storage/", "/upload/")):
            self.leak(call, ["Authorization sent to the storage's port"])
        super().handle(handler, call)


def json_time(world):
    return clock.iso(world.clock.now())


def api_path(path):
    for prefix in ("/v1/", "/api/v1/"):
        if path.startswith(prefix):
            return path[len(prefix):]
    return None


# ---- Control ----

def control(world, call):
    try:
        if call.verb == "POST":
            return steer(world, call)
        views = {"/_fake/log": world.oracle, "/_fake/leaks": lambda: {"leaks": world.leaks},
                 "/_fake/clock": lambda: {"now": json_time(world), "epoch": world.clock.now()},
                 "/_fake/modes": lambda: world.modes}
        view = views.get(call.path)
        return json_reply(view()) if view else error_reply(404, "Not found")
    except (ValueError, KeyError, TypeError) as error:
        return error_reply(400, f"{type(error).__name__}: {error}")


def steer(world, call):
    args = json.loads(call.body or b"{}")
    if call.path == "/_fake/script":
        world.apply(args)
    elif call.path == "/_fake/clock":
        world.clock.steer(args)
        with world.lock:
            world.settle()
    else:
        return error_reply(404, "Not found")
    return json_reply({"now": json_time(world)})


class Fake:
    """The three ports, and time passing."""

    def __init__(self, world, port=0):
        self.world = world
        self.stranger = Listener(0, Stranger(world))
        self.storage = Listener(0, StoragePort(world))
        self.service = Listener(port, App(world))
        self.listeners = [self.stranger, self.storage, self.service]
        world.storage.address = self.storage.address
        for listener in self.listeners:
            listener.app.elsewhere = f"{self.stranger.address}/elsewhere"

    @property
    def port(self):
        return self.service.server_address[1]

    def start(self):
        for listener in self.listeners:
            threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def run(self, over):
        """Lets time pass until `over` is set. For the main thread, which must wake now and then: a signal that the
        kernel gives to another thread is handled no sooner."""
        while not over.wait(0.05):
            with self.world.lock:
                self.world.settle()

    def close(self):
        for listener in self.listeners:
            listener.socket.close()
        self.world.close()
