"""The script of faults: which call of which method goes wrong, and how.

A fault is an object {"method": "SaveKernel", "kind": "…", …}. `method` is the RPC's name, or LogStream, OutputDownload,
Storage (GET of a signed URL), PUT (an upload), or "*"; `slug` narrows it to calls whose arguments name that slug.
`nth` (a number or a list, counted from 1 among the matching calls) or `times` (the first so many) say when; neither: always.
Kinds:
  status    answers `code` with `message` in `shape` (code, error, html, text, empty), `http` another status line,
            `retry_after` seconds, `retry_date` seconds ahead as an HTTP date. PUT: `store` bytes are kept before;
            code 308 says how many.
  reset     the connection is reset. PUT: `store` as above.
  delay     the reply comes `seconds` (real) later; `"when": "before"`: so late it takes effect, told of or not
  double    the service does it twice and answers once, with its second answer (`"answer": "first"`: with its first)
  truncate  only `bytes` of the announced body come
  drip      the body comes in pieces of `bytes` every `seconds`
  redirect  302 to another port of the same machine
  garbage   200 with `body` (a string) in place of the reply, of type `type`
`when`: "before" (the default: nothing happens in the service) or "after" (it took effect, the reply is lost or changed).
double, truncate, drip and delay are always after.
"""
import email.utils
import threading
import time

from reply import Reply, error_reply

KINDS = ("status", "reset", "delay", "double", "truncate", "drip", "redirect", "garbage")
ALWAYS_AFTER = ("double", "truncate", "drip", "delay")


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.list = []

    def add(self, specs):
        for spec in specs:
            if spec.get("kind") not in KINDS or not spec.get("method"):
                raise ValueError(f"not a fault: {spec}")
        with self.lock:
            self.list += [dict(spec, seen=0) for spec in specs]

    def clear(self):
        with self.lock:
            self.list = []

    def take(self, method, args):
        """The fault for this call, or None. Every matching fault counts the call; the first that is due wins."""
        with self.lock:
            due = None
            for spec in self.list:
                if not matches(spec, method, args):
                    continue
                spec["seen"] += 1
                if due is None and is_due(spec):
                    due = spec
            return due


def matches(spec, method, args):
    if spec["method"] not in ("*", method):
        return False
    wanted = spec.get("slug")
    named = [args.get(k) for k in ("kernelSlug", "datasetSlug", "slug", "competitionName")]
    return not wanted or wanted in [str(n).split("/")[-1] for n in named if n] or wanted in named


def is_due(spec):
    nth, times = spec.get("nth"), spec.get("times")
    if nth is not None:
        return spec["seen"] in (nth if isinstance(nth, list) else [nth])
    return times is None or spec["seen"] <= times


def is_before(fault):
    return fault is not None and fault["kind"] not in ALWAYS_AFTER and fault.get("when", "before") == "before"


def fault_reply(fault, elsewhere):
    """The reply of a fault that has one; `elsewhere` is the address of another port."""
    if fault["kind"] == "redirect":
        return Reply(302, b"", "text/html", {"Location": fault.get("to") or elsewhere})
    if fault["kind"] == "garbage":
        return Reply(200, fault.get("body", "").encode(), fault.get("type", "application/json"))
    code = fault.get("code", 500)
    reply = error_reply(code, fault.get("message", "Injected"), fault.get("shape", "code"), fault.get("http"))
    if "retry_after" in fault:
        reply.headers["Retry-After"] = str(fault["retry_after"])
    if "retry_date" in fault:
        reply.headers["Retry-After"] = email.utils.formatdate(time.time() + fault["retry_date"], usegmt=True)
    return reply
