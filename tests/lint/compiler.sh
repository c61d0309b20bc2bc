#!/bin/bash
# The sources under clang's -Wall -Wextra as well; the build itself holds gcc's.
cd "$(dirname "$0")/../.." || exit 1
db=${1:-build}/compile_commands.json
command -v clang >/dev/null || { echo "1..0 # SKIP clang is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "1..0 # SKIP python3 is not installed"; exit 77; }
[ -f "$db" ] || { echo "not ok - $db is there"; exit 1; }
out=$(python3 - "$db" <<'PY'
import json, shlex, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
import os

def command(entry):
    """The build's own command with clang in front, without what names gcc's files."""
    words = shlex.split(entry["command"])[1:]
    keep, skip = [], 0
    for word in words:
        if skip:
            skip -= 1
        elif word in ("-o", "-MF", "-MQ"):
            skip = 1
        elif word not in ("-MD", "-Winvalid-pch", "-fsanitize=fuzzer-no-link"):
            keep.append(word)
    return ["clang", "-fsyntax-only", "-Wno-unknown-warning-option", "-fno-color-diagnostics"] + keep

def check(entry):
    done = subprocess.run(command(entry), cwd=entry["directory"], capture_output=True, text=True)
    return done.stderr if done.returncode else ""

entries = {entry["file"]: entry for entry in json.load(open(sys.argv[1]))}
with ThreadPoolExecutor(os.cpu_count()) as pool:
    for text in pool.map(check, entries.values()):
        sys.stdout.write(text)
PY
)
if [ -z "$out" ]; then echo "ok - clang has no warnings"; exit 0; fi
echo "not ok - clang has no warnings"
head -n 100 <<<"$out" | sed 's/^/# /'
exit 1
