#!/usr/bin/python3
"""The faults on purpose, storage, streams and hostile outputs of the fake service."""
import concurrent.futures
import email.utils
import http.client
import io
import json
import socket
import sys
import time
import zipfile

sys.dont_write_bytecode = True
from harness import Service  # noqa: E402
from tap import check, has, run_file, same  # noqa: E402

BLOCK = 256 * 1024
QUIET = {"queue_seconds": 0, "log": []}


def fault(s, **what):
    s.script({"default_run": QUIET, "faults": [what]})


def lost(function, *args, **more):
    """True where the connection broke instead of an answer."""
    try:
        function(*args, **more)
    except (ConnectionError, http.client.HTTPException):
        return True
    return False


# ---- Replies ----

def too_many(s):
    """429 with Retry-After in seconds, as a date, without; in both shapes; for the calls it names"""
    s.script({"faults": [
        {"method": "GetKernel", "kind": "status", "code": 429, "message": "TooManyRequests", "retry_after": 7, "nth": 1},
        {"method": "GetKernel", "kind": "status", "code": 429, "shape": "error", "retry_date": 90, "nth": 2},
        {"method": "GetKernel", "kind": "status", "code": 429, "http": 200, "nth": [3, 4]}]})
    get = {"userName": "bob", "kernelSlug": "public-demo"}
    answers = [s.call("GetKernel", get) for _ in range(5)]
    same([a.status for a in answers], [429, 429, 200, 200, 200])
    same((answers[0].headers["Retry-After"], answers[0].json["message"]), ("7", "TooManyRequests"))
    ahead = email.utils.parsedate_to_datetime(answers[1].headers["Retry-After"]).timestamp() - time.time()
    check(60 < ahead < 120, f"a date ahead: {ahead}")
    same(answers[1].json["error"]["status"], "RESOURCE_EXHAUSTED")
    same([a.json.get("code") for a in answers[2:]], [429, 429, None])
    check("Retry-After" not in answers[2].headers, "without")


def html_and_garbage(s):
    """502 in HTML, an empty 500, and text in place of JSON"""
    s.script({"faults": [{"method": "*", "kind": "status", "code": 502, "shape": "html", "nth": 1},
                         {"method": "*", "kind": "status", "code": 500, "shape": "empty", "nth": 2},
                         {"method": "*", "kind": "garbage", "body": "{\"kernels\": [", "nth": 3}]})
    answers = [s.call("ListKernels") for _ in range(3)]
    same([a.status for a in answers], [502, 500, 200])
    has(answers[0].headers["Content-Type"], "text/html")
    same((answers[1].body, answers[2].body), (b"", b'{"kernels": ['))


def reset_before(s):
    """a connection reset before: nothing happened"""
    fault(s, method="SaveKernel", kind="reset", nth=1)
    check(lost(s.push, "reset-push"), "no answer")
    same(s.effects("push"), [])
    same(s.push("reset-push").json["versionNumber"], 1)


def reset_after(s):
    """a lost reply: it happened, and nobody was told"""
    fault(s, method="SaveKernel", kind="reset", when="after", nth=1)
    check(lost(s.push, "reset-push", "print(1)\n# kexec token: abc\n"), "no answer")
    same([(e["version"], e["token"]) for e in s.effects("push")], [(1, "abc")])
    same(s.log()["requests"][0]["status"], "reset")


def error_after(s):
    """an error that is a lie: 502, and it happened"""
    fault(s, method="SaveKernel", kind="status", code=502, shape="html", when="after", nth=1)
    same(s.push("lying-error").status, 502)
    same(len(s.effects("push")), 1)


def doubled(s):
    """the service took it twice: two versions, two runs, one answer"""
    fault(s, method="SaveKernel", kind="double", nth=1)
    same(s.push("double-push").json["versionNumber"], 2)
    same([e["version"] for e in s.effects("push")], [1, 2])
    fault(s, method="SaveKernel", kind="double", answer="first", nth=1)
    same(s.push("double-again").json["versionNumber"], 1)


def delayed(s):
    """a delayed reply: it happened at once"""
    fault(s, method="SaveKernel", kind="delay", seconds=1.0, nth=1)
    began = time.monotonic()
    s.push("late-reply")
    check(time.monotonic() - began >= 1.0, "it was late")


def late_effect(s):
    """a call that takes effect after its caller gave up"""
    fault(s, method="SaveKernel", kind="delay", when="before", seconds=3, nth=1)
    body = json.dumps({"slug": "alice/late-push", "newTitle": "Late push", "text": "1\n", "language": "python",
                       "kernelType": "script"})
    connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=0.1)
    try:
        connection.request("POST", "/v1/kernels.KernelsApiService/SaveKernel", body, s.authorization("alice"))
        connection.getresponse()
        check(False, "it was in time")
    except TimeoutError:
        connection.close()
    same(s.effects("push"), [])
    end = time.monotonic() + 30
    while not s.effects("push"):
        check(time.monotonic() < end, "it never came")


def truncated(s):
    """a body that ends before its announced length"""
    fault(s, method="ListKernels", kind="truncate", bytes=10, nth=1)
    try:
        s.call("ListKernels")
        check(False, "it was whole")
    except http.client.IncompleteRead as error:
        same(len(error.partial), 10)


def drips(s):
    """a body that comes in drops is still the whole body"""
    fault(s, method="ListKernels", kind="drip", bytes=20, seconds=0.01, nth=1)
    check("kernels" in s.call("ListKernels").json, "it is JSON")


def elsewhere(s):
    """302 to another port, and whoever brings a credential there is found out"""
    fault(s, method="ListKernels", kind="redirect", nth=1)
    answer = s.call("ListKernels")
    same(answer.status, 302)
    target = answer.headers["Location"]
    same(s.url("GET", target).status, 200)
    same(s.leaks(), [])
    s.url("GET", target, headers=s.authorization("alice"))
    same([x["what"] for x in s.leaks()], ["Authorization sent to another port"])


def only_that_slug(s):
    """a fault can be meant for one slug, and for the first so many calls"""
    fault(s, method="GetKernelSessionStatus", kind="status", code=503, slug="one-of-two", times=2)
    s.push("one-of-two")
    s.push("two-of-two")
    args = [{"userName": "alice", "kernelSlug": slug} for slug in ("one-of-two", "two-of-two")]
    found = [[s.call("GetKernelSessionStatus", a).status for a in args] for _ in range(3)]
    same(found, [[503, 200], [503, 200], [200, 200]])


def bad_scripts(s):
    """a script with a mistake is refused"""
    for bad in ({"modes": {"no_such": 1}}, {"faults": [{"kind": "oops", "method": "*"}]}, {"reset": ["all"]}):
        try:
            s.script(bad)
        except ValueError:
            continue
        check(False, f"{bad} was taken")


# ---- Storage ----

def outputs_of(s, slug, **args):
    return s.call("ListKernelSessionOutput", {"userName": "alice", "kernelSlug": slug, **args})


def one_output(s, **spec):
    s.script({"runs": [{"slug": "alice/one-output", **QUIET, "outputs": [{"name": "out.bin", **spec}]}]})
    s.push("one-output")
    s.until("one-output", "COMPLETE")
    return outputs_of(s, "one-output").json["files"][0]["url"]


def signed_urls(s):
    """signed URLs: another port, no Authorization, ranges, and an end"""
    s.clock(speed=0)
    s.script({"modes": {"url_seconds": 60}})
    url = one_output(s, text="0123456789")
    check(f":{s.port}/" not in url, "another port")
    same(s.url("GET", url).body, b"0123456789")
    part = s.url("GET", url, headers={"Range": "bytes=4-"})
    same((part.status, part.body, part.headers["Content-Range"]), (206, b"456789", "bytes 4-9/10"))
    same(s.url("GET", url, headers={"Range": "bytes=10-"}).status, 416)
    same(s.url("GET", url[:-1] + "x").status, 403)
    same(s.leaks(), [])
    same(s.url("GET", url, headers=s.authorization("alice")).status, 400)
    same(s.leaks()[0]["what"], "Authorization sent to the storage")
    s.clock(step=61)
    same(s.url("GET", url).status, 400)
    check(outputs_of(s, "one-output").json["files"][0]["url"] != url, "listing again signs again")


def announced_size(s):
    """ten gigabytes are announced; they come as long as one reads, or less comes than was said"""
    url = one_output(s, size=10 << 30)
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", "/" + path)
    reply = connection.getresponse()
    same(reply.headers["Content-Length"], str(10 << 30))
    same(len(reply.read(1 << 20)), 1 << 20)
    connection.close()
    try:
        s.url("GET", one_output(s, size=1000, sent=100))
        check(False, "it was whole")
    except http.client.IncompleteRead as error:
        same(len(error.partial), 100)


def hostile_names(s):
    """names of outputs come as the script has them"""
    names = ["../up.txt", "/etc/abs.txt", "a/../../b", "Case.txt", "case.txt", "new\nline", "trailing/", ".", "名前.csv",
             "x" * 300, "nul\u0000byte"]
    s.script({"runs": [{**QUIET, "outputs": [{"name": n, "text": "x"} for n in names] + [{"name": "link", "link": "/etc/passwd"}]}]})
    s.push("bad-names")
    s.until("bad-names", "COMPLETE")
    files = outputs_of(s, "bad-names").json["files"]
    same([f["fileName"] for f in files], names + ["link"])
    for file in files:
        same(s.url("GET", file["url"]).status, 200, file["fileName"])
    same(s.url("GET", files[-1]["url"]).body, b"/etc/passwd")


def zip_of_outputs(s):
    """the zip of a session holds the links as links"""
    s.script({"runs": [{**QUIET, "outputs": [{"name": "a/b.txt", "text": "b"}, {"name": "link", "link": "/etc/passwd"}]}]})
    s.push("zipped-out")
    s.until("zipped-out", "COMPLETE")
    found = s.ask("GET", "/v1/kernels/output/download/alice/zipped-out", headers=s.authorization("alice"))
    answer = s.url("GET", found.headers["Location"], headers=s.authorization("alice"))
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        same(archive.read("a/b.txt"), b"b")
        same(archive.getinfo("link").external_attr >> 16, 0o120777)


def pages(s):
    """outputs come in pages: 200 at most, 500 where no size is asked"""
    s.script({"runs": [{**QUIET, "outputs": [{"count": 1203, "prefix": "d/f"}]}]})
    s.push("many-files")
    s.until("many-files", "COMPLETE")
    same(len(outputs_of(s, "many-files").json["files"]), 500)
    refused = outputs_of(s, "many-files", pageSize=201)
    same(refused.status, 400)
    has(refused.json["message"], "200")
    names, token = [], ""
    while True:
        page = outputs_of(s, "many-files", pageSize=200, pageToken=token).json
        names += [f["fileName"] for f in page["files"]]
        token = page["nextPageToken"]
        if not token:
            break
    same((len(names), len(set(names)), names[-1]), (1203, 1203, "d/f1202.txt"))
    same(outputs_of(s, "many-files", pageToken="nonsense").status, 400)


def hundred_thousand(s):
    """a hundred thousand files: pages of 500"""
    s.script({"runs": [{**QUIET, "outputs": [{"count": 100000}]}]})
    s.push("all-files")
    s.until("all-files", "COMPLETE")
    token, count, calls = "", 0, 0
    while calls == 0 or token:
        page = outputs_of(s, "all-files", pageSize=500, pageToken=token).json
        count, calls, token = count + len(page["files"]), calls + 1, page["nextPageToken"]
    same((count, calls), (100000, 200))


# ---- Uploads ----

def start(s, size, name="data.bin"):
    return s.call("StartBlobUpload", {"type": "DATASET", "name": name, "contentLength": size}).json


def put(s, url, body, at=None, total=None):
    ranged = {} if at is None else {"Content-Range": f"bytes {at}-{at + len(body) - 1}/{total}"}
    return s.url("PUT", url, body, ranged)


def asks(s, url, total):
    return s.url("PUT", url, b"", {"Content-Range": f"bytes */{total}", "Content-Length": "0"})


def resumable(s):
    """an upload in pieces: 308 with what is there, continued, complete, used once"""
    body = bytes(range(256)) * 2048
    made = start(s, len(body))
    same((asks(s, made["createUrl"], len(body)).status, asks(s, made["createUrl"], len(body)).headers["Range"]), (308, None))
    answer = put(s, made["createUrl"], body[:BLOCK], 0, len(body))
    same((answer.status, answer.headers["Range"]), (308, f"bytes=0-{BLOCK - 1}"))
    same(put(s, made["createUrl"], body[BLOCK + 5:], BLOCK + 5, len(body)).status, 400)
    same(put(s, made["createUrl"], body[BLOCK:], BLOCK, len(body)).status, 200)
    same(asks(s, made["createUrl"], len(body)).status, 200)
    create = {"title": "In pieces", "slug": "in-pieces", "licenseName": "CC0-1.0", "files": [{"token": made["token"]}]}
    same(s.call("CreateDataset", create).json["status"], "ok")
    again = s.call("CreateDataset", {**create, "title": "In pieces 2", "slug": "in-pieces-2"})
    same(again.status, 400)


def broken_upload(s):
    """a connection that breaks in an upload leaves whole blocks of it"""
    made, total = start(s, 4 * BLOCK), 4 * BLOCK
    host, _, path = made["createUrl"].removeprefix("http://").partition("/")
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1]))) as raw:
        raw.sendall(f"PUT /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n\r\n".encode() + b"z" * (BLOCK + 1000))
        raw.shutdown(socket.SHUT_WR)
        raw.recv(1000)
    same(asks(s, made["createUrl"], total).headers["Range"], f"bytes=0-{BLOCK - 1}")


def failing_uploads(s):
    """503, 308 and a reset in an upload, each after so many bytes"""
    body = b"q" * 1000
    for number, what in enumerate(({"kind": "status", "code": 503}, {"kind": "status", "code": 308}, {"kind": "reset"})):
        s.script({"reset": ["faults"], "faults": [{"method": "PUT", "store": 100 * (number + 1), "times": 1, **what}]})
        made = start(s, len(body))
        if what["kind"] == "reset":
            check(lost(put, s, made["createUrl"], body), "no answer")
        else:
            same(put(s, made["createUrl"], body).status, what["code"])
        same(asks(s, made["createUrl"], len(body)).headers["Range"], f"bytes=0-{100 * (number + 1) - 1}")
    same(s.url("PUT", made["createUrl"][:-1], body).status, 404)


def unfinished_token(s):
    """the token of an upload that is not complete is refused; an empty file is complete by an empty PUT"""
    made, empty = start(s, 10), start(s, 0, "empty.txt")
    args = {"title": "Unfinished", "licenseName": "CC0-1.0", "files": [{"token": made["token"]}]}
    same(s.call("CreateDataset", args).status, 400)
    same(s.url("PUT", empty["createUrl"], b"").status, 200)
    same(s.call("CreateDataset", {**args, "files": [{"token": empty["token"]}]}).json["status"], "ok")
    same(s.effects("dataset")[0]["files"], {"empty.txt": 0})


def old_upload(s):
    """an upload session ends after a week"""
    s.clock(speed=0)
    made = start(s, 10)
    s.clock(step=8 * 86400)
    same(asks(s, made["createUrl"], 10).status, 404)


def archives(s):
    """folders keep their names, archives are unpacked into folders of their name"""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner/a.txt", "a")
        archive.writestr("../out.txt", "no")
    tokens = []
    for name, body in (("sub.zip", packed.getvalue()), ("plain.txt", b"p")):
        made = start(s, len(body), name)
        put(s, made["createUrl"], body)
        tokens.append({"token": made["token"]})
    s.call("CreateDataset", {"title": "Archives", "licenseName": "CC0-1.0", "files": tokens[:1],
                             "directories": [{"name": "deep", "files": tokens[1:]}]})
    same(sorted(s.effects("dataset")[0]["files"]), ["deep/plain.txt", "sub/inner/a.txt"])


def secrets_astray(s):
    """a secret in a pushed source or in a URL is found"""
    secret = s.user("alice")["key"]
    s.push("tells-all", f"KEY = '{secret}'\n")
    s.ask("GET", f"/v1/?key={secret}", headers=s.authorization("alice"))
    same([x["what"] for x in s.leaks()], ["a secret in a body", "a secret in a URL"])
    check(secret not in json.dumps(s.log()["requests"]), "the log of requests has none")


# ---- The live log ----

def read_stream(s, slug):
    """(events, whether it came to its end) of one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
    connection.request("GET", f"/api/v1/kernels/logs/stream/alice/{slug}", headers=s.authorization("alice"))
    reply = connection.getresponse()
    kind, lines = reply.headers["Content-Type"], []
    try:
        lines = reply.read().decode().splitlines()
    except http.client.IncompleteRead as error:
        lines = error.partial.decode().splitlines()
    connection.close()
    if not kind.startswith("text/event-stream"):
        return [e["data"] for e in json.loads("\n".join(lines))], kind
    found = [line.removeprefix("data: ") for line in lines if line]
    ended = found[-1:] == ["END_OF_LOG"]
    return [json.loads(x)["data"] for x in found if x != "END_OF_LOG"], ended


def cut_stream(s):
    """the stream is cut where the script says, begins again at the beginning, and is the stored log at the end"""
    lines = [f"line {n}\n" for n in range(6)]
    s.clock(speed=0)
    s.script({"runs": [{"queue_seconds": 0, "run_seconds": 60, "cut_after": [2, 4],
                        "log": [[10 * n, f"line {n}"] for n in range(6)]}]})
    s.push("cut-stream")
    s.clock(step=35)
    same(read_stream(s, "cut-stream"), (lines[:2], False))
    same(read_stream(s, "cut-stream"), (lines[:4], False))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        third = pool.submit(read_stream, s, "cut-stream")
        while [r["call"] for r in s.log()["requests"]].count("LogStream") < 3 and not third.done():
            pass
        s.clock(step=60)
        same(third.result(), (lines, True))
    same(read_stream(s, "cut-stream"), (lines, "application/json"))


def log_modes(s):
    """a stored log can be empty, plain text, or cut"""
    for mode, wanted in (("empty", ""), ("text", "one\ntwo\n")):
        s.script({"runs": [{**QUIET, "log": ["one", "two"], "log_mode": mode}]})
        s.push("odd-log")
        s.until("odd-log", "COMPLETE")
        same(outputs_of(s, "odd-log").json["log"], wanted)
    s.script({"modes": {"log": "cut"}, "runs": [{**QUIET, "log": ["one", "two"]}]})
    s.push("odd-log")
    s.until("odd-log", "COMPLETE")
    try:
        json.loads(outputs_of(s, "odd-log").json["log"])
        check(False, "it is whole")
    except ValueError:
        pass


def oracle(s):
    """the oracle: effects in order, requests without credentials"""
    fault(s, method="SaveKernel", kind="double", nth=1)
    s.push("seen-by-all", enableGpu=True)
    log = s.log()
    same([(e["effect"], e["slug"], e["version"]) for e in log["effects"]], [("push", "seen-by-all", 1), ("push", "seen-by-all", 2)])
    request = log["requests"][0]
    same((request["call"], request["auth"], request["user"], request["fault"]), ("SaveKernel", "bearer", "alice", "double"))
    check(not any(secret in json.dumps(log) for secret in (s.user("alice")["token"], s.user("alice")["key"])), "no credentials")


if __name__ == "__main__":
    run_file(Service)
