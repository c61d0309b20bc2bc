#!/bin/bash
# clang-tidy 14 over every source that is built; .clang-tidy says what is asked and why not more.
cd "$(dirname "$0")/../.." || exit 1
build=${1:-build}
skip() { echo "1..0 # SKIP $*"; exit 77; }
tidy=$(command -v clang-tidy-14) || tidy=$(command -v clang-tidy) || skip "clang-tidy is not installed"
# Each version has checks of its own: another one would complain about what nobody decided on.
"$tidy" --version | grep -q 'version 14\.' || skip "clang-tidy is another version than 14"
[ -f "$build/compile_commands.json" ] || { echo "not ok - $build/compile_commands.json is there"; exit 1; }

out=$(cd "$build" && sed -nE 's/^ *"file": "(.*)",?$/\1/p' compile_commands.json | sort -u | xargs -r realpath |
	xargs -r -n 1 -P "$(nproc)" "$tidy" -p . --quiet 2>/dev/null)
if [ -z "$out" ]; then echo "ok - clang-tidy finds nothing"; exit 0; fi
echo "not ok - clang-tidy finds nothing"
grep -E '(warning|error): ' <<<"$out" | sort -u | head -n 60 | sed 's/^/# /'
exit 1
