"""The storage beside the service: signed URLs to read, resumable sessions to write. Neither takes an Authorization."""
import os
import re
import secrets
import urllib.parse

from reply import Refusal, Reply

BLOCK = 256 * 1024  # what an interrupted upload keeps is a multiple of this


class Bytes:
    def __init__(self, data):
        self.data, self.size = data, len(data)

    def read(self, offset, count):
        return self.data[offset:offset + count]


class File:
    def __init__(self, path):
        self.path, self.size = path, os.path.getsize(path)

    def read(self, offset, count):
        with open(self.path, "rb") as f:
            f.seek(offset)
            return f.read(count)


class Pattern:
    """So many bytes that need no memory; `short` of them are really there (an announced size that is a lie)."""

    def __init__(self, size, short=None):
        self.size, self.there = size, size if short is None else short

    def read(self, offset, count):
        count = max(0, min(count, self.there - offset))
        line = b"0123456789abcde\n"
        return (line * (count // 16 + 2))[offset % 16:offset % 16 + count]


def read_all(content):
    return content.read(0, content.size)


class Storage:
    def __init__(self, clock):
        self.clock, self.address = clock, ""
        self.signed, self.uploads = {}, {}

    # ---- Reading ----

    def sign(self, content, name, seconds):
        """A URL to this content that ends in a harmless form of its name."""
        key = secrets.token_hex(16)
        self.signed[key] = (content, self.clock.now() + seconds)
        leaf = re.sub(r"[^A-Za-z0-9._-]", "_", name.rsplit("/", 1)[-1]).strip(".") or "file"
        query = urllib.parse.urlencode({"X-Goog-Algorithm": "GOOG4-RSA-SHA256", "X-Goog-Expires": int(seconds),
                                        "X-Goog-Signature": key})
        return f"{self.address}/storage/{key[:8]}/{leaf}?{query}"

    def get(self, query, headers):
        content, until = self.signed.get(query.get("X-Goog-Signature", ""), (None, 0))
        if content is None:
            return xml(403, "SignatureDoesNotMatch")
        if self.clock.now() > until:
            return xml(400, "ExpiredToken")
        return ranged(content, headers.get("Range"))

    # ---- Writing ----

    def start(self, size, name, purpose):
        token, key = secrets.token_hex(24), secrets.token_hex(12)
        upload = {"token": token, "size": size, "name": name, "data": bytearray(), "done": False, "used": False,
                  "purpose": purpose, "until": self.clock.now() + 7 * 86400}
        self.uploads[key] = upload
        return token, f"{self.address}/upload/{purpose.lower()}?upload_id={key}"

    def upload(self, query):
        upload = self.uploads.get(query.get("upload_id", ""))
        if upload is None or self.clock.now() > upload["until"]:
            return None
        return upload

    def put(self, upload, headers, body):
        """One PUT of a resumable session, whole body read."""
        found = headers.get("Content-Range")
        start, end, asks = parse_range(found, upload["size"], len(body))
        if asks:
            return self.progress(upload)
        if start is None or end - start != len(body) or end > upload["size"]:
            return Reply(400, b"Failed to parse Content-Range header.", "text/plain")
        if start > len(upload["data"]):
            return Reply(400, b"The range does not continue what is stored.", "text/plain")
        self.keep(upload, start, body)
        return self.progress(upload)

    def keep(self, upload, start, body):
        del upload["data"][start:]
        upload["data"] += body
        upload["done"] = len(upload["data"]) == upload["size"]

    def interrupted(self, upload, headers, body, exact=None):
        """A body that broke off, or of which the storage keeps only so much."""
        start = parse_range(headers.get("Content-Range"), upload["size"], upload["size"])[0] or 0
        count = len(body) // BLOCK * BLOCK if exact is None else min(exact, len(body))
        if start <= len(upload["data"]):
            self.keep(upload, start, body[:count])

    def progress(self, upload):
        if upload["done"]:
            return Reply(200, b"", "text/plain")
        stored = len(upload["data"])
        return Reply(308, b"", "text/plain", {"Range": f"bytes=0-{stored - 1}"} if stored else {})

    def claim(self, token, *purposes):
        """The finished upload of that token, which can be used once."""
        for upload in self.uploads.values():
            if upload["token"] == token and upload["purpose"] in purposes:
                if not upload["done"]:
                    raise Refusal(400, "Upload is not complete")
                if upload["used"]:
                    raise Refusal(400, "Upload token was already used")
                return upload
        raise Refusal(400, "Invalid upload token")


def parse_range(word, size, got):
    """(start, end, is a question) of a Content-Range; (None, 0, False) where it is wrong."""
    if word is None:
        return 0, got, False
    if re.fullmatch(rf"bytes \*/(?:{size}|\*)", word):
        return 0, 0, True
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", word)
    if not match or int(match[3]) != size:
        return None, 0, False
    return int(match[1]), int(match[2]) + 1, False


def ranged(content, word):
    headers = {"Accept-Ranges": "bytes", "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT",
               "ETag": f'"{content.size:x}"'}
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", word or "")
    if not match:
        return Reply(200, content, "application/octet-stream", headers)
    start = int(match[1])
    end = min(int(match[2]) + 1 if match[2] else content.size, content.size)
    if start >= end:
        return Reply(416, b"", "text/plain", {"Content-Range": f"bytes */{content.size}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
    return Reply(206, Slice(content, start, end), "application/octet-stream", headers)


class Slice:
    def __init__(self, content, start, end):
        self.content, self.start, self.size = content, start, end - start

    def read(self, offset, count):
        return self.content.read(self.start + offset, min(count, self.size - offset))


def xml(status, code):
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"
    return Reply(status, body.encode(), "application/xml; charset=UTF-8")
