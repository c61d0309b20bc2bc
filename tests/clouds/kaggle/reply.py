"""What handlers give back: a reply, or a refusal that is raised. Bodies may be larger than memory."""
import json


class Refusal(Exception):
    """An error reply in the service's usual shape."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


class Reply:
    """`body`: bytes, or an object with `size` and `read(offset, count)`, or an iterator of chunks (a stream)."""

    def __init__(self, status=200, body=b"", kind="application/json", headers=None):
        self.status, self.body, self.kind = status, body, kind
        self.headers = dict(headers or {})


def json_reply(value, status=200, headers=None):
    return Reply(status, json.dumps(value).encode(), "application/json", headers)


def error_reply(status, message, shape="code", http=None):
    """The shapes in which errors have been seen; `http` is the status line where it differs from the code."""
    http = http or status
    if shape == "error":
        word = {429: "RESOURCE_EXHAUSTED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}.get(status, "UNKNOWN")
        return json_reply({"error": {"code": status, "message": message, "status": word}}, http)
    if shape == "html":
        page = f"<html><head><title>{status} {message}</title></head><body><h1>{message}</h1></body></html>"
        return Reply(http, page.encode(), "text/html; charset=UTF-8")
    if shape == "text":
        return Reply(http, message.encode(), "text/plain")
    if shape == "empty":
        return Reply(http, b"", "text/plain")
    return json_reply({"code": status, "message": message}, http)


def redirect(url):
    return Reply(302, b"", "text/html", {"Location": url})


def need(args, *names):
    """Required fields of a request; the answer is one value, or a list of them."""
    for name in names:
        if args.get(name) in (None, ""):
            raise Refusal(400, f"Missing required field: {name}")
    values = [args[name] for name in names]
    return values[0] if len(values) == 1 else values


def text(args, name):
    value = args.get(name) or ""
    if not isinstance(value, str):
        raise Refusal(400, f"Invalid value for field: {name}")
    return value


def number(args, name, default=0):
    value = args.get(name)
    if value is None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Refusal(400, f"Invalid value for field: {name}") from None


ZERO_ENUMS = ("QUEUED", "PENDING", "NOT_YET_PERSISTED")


def without_defaults(value):
    """As a service does that leaves out what equals its default."""
    if isinstance(value, list):
        return [without_defaults(v) for v in value]
    if not isinstance(value, dict):
        return value
    kept = {k: without_defaults(v) for k, v in value.items()}
    return {k: v for k, v in kept.items() if not is_default(v)}


def is_default(value):
    return value is None or value is False or value == 0 or value in ("", [], {}) or value in ZERO_ENUMS


def page_of(items, args, largest, default):
    """One page by opaque token, and the next token ("" at the end)."""
    asked = number(args, "pageSize")
    if not 0 <= asked <= largest:
        raise Refusal(400, f"Invalid page size: {asked}. The maximum is {largest}.")
    size = asked or default
    start = token_offset(text(args, "pageToken"))
    return items[start:start + size], f"p{start + size}z" if start + size < len(items) else ""


def token_offset(token):
    if not token:
        return 0
    if token[0] != "p" or token[-1] != "z" or not token[1:-1].isdigit():
        raise Refusal(400, "Invalid page token")
    return int(token[1:-1])
