#!/usr/bin/env python3
"""page.html with page.css and page.js put in, and their hashes in its policy, as a C array.

Runs at build time: embed.py page.html page.css page.js OUTPUT
"""
import base64
import hashlib
import sys


def text(path, end_tag):
    data = open(path, encoding="utf-8", newline="").read()
    # A browser hashes what its parser saw: it turns CR LF into LF and ends at the end tag.
    if "\r" in data:
        sys.exit(f"{path}: line ends must be LF")
    if end_tag and ("</" + end_tag in data.lower() or "<!--" in data):
        sys.exit(f"{path}: must not hold </{end_tag} or <!--")
    return data


def digest(data):
    return base64.b64encode(hashlib.sha256(data.encode()).digest()).decode()


def main(page, css, js, output):
    style, script = text(css, "style"), text(js, "script")
    html = text(page, None)
    # The hashes first: what is put in last is not searched for holes again.
    for hole, value in (("css_hash", digest(style)), ("js_hash", digest(script)),
                        ("css", style), ("js", script)):
        if html.count("{{" + hole + "}}") != 1:
            sys.exit(f"{page}: {{{{{hole}}}}} must be there once")
        html = html.replace("{{" + hole + "}}", value)
    data = html.encode()
    # Bytes, not a string literal: the C standard promises only 4,095 characters of those.
    lines = [",".join(str(b) for b in data[i:i + 24]) for i in range(0, len(data), 24)]
    with open(output, "w", encoding="ascii") as out:
        out.write("/* Made by embed.py. */\nstatic const char page_template[] = {\n")
        out.write(",\n".join(lines) + ",0\n};\n")


main(*sys.argv[1:])
