#!/bin/bash
# Shell and Python files parse, tests are executable, examples' notebooks are notebooks.
cd "$(dirname "$0")/../.." || exit 1
bad=0
check() { # SENTENCE OUTPUT
	if [ -z "$2" ]; then echo "ok - $1"; else echo "not ok - $1"; sed 's/^/# /' <<<"$2"; bad=1; fi
}
shells() { grep -lE '^#!/bin/(ba)?sh' -r tests examples .ci --include='*' 2>/dev/null; }

check "shell scripts parse" "$(for f in $(shells) tests/mount/lib.sh; do bash -n "$f" 2>&1; done)"
check "shell scripts are executable" "$(for f in $(shells); do [ -x "$f" ] || echo "$f"; done)"
check "Python files parse" "$(find examples tests backends fs -name '*.py' -print0 2>/dev/null |
	xargs -0 -r -n1 python3 -c 'import ast, sys
try: ast.parse(open(sys.argv[1]).read(), sys.argv[1])
except SyntaxError as e: print(e)' 2>&1)"
check "JSON and notebooks of the examples parse" "$(find examples -name '*.json' -o -name '*.ipynb' | while read -r f; do
	python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$f" 2>&1 | tail -n 1; done)"
check "the man page has no warnings" "$(command -v groff >/dev/null && [ -f fs/kexecfs.1 ] &&
	groff -man -Tutf8 -ww -z fs/kexecfs.1 2>&1)"
exit $bad
