#!/bin/bash
# Broken and hostile folders: each ends in a sentence, none harms the daemon or takes long.
# limit: 240
# tags: asan
. "$(dirname "$0")/lib.sh"
begin
start_kexec
q=$M/queue

# rejected NAME REGEX: submit the folder $T/in/NAME; it must be rejected for that reason.
rejected() {
	rm -rf "$q/.x"
	cp -r "$T/in/$1" "$q/.x" && mv "$q/.x" "$q/$1"
	assert_eq "$(final_state "$1" 60)" rejected "$(cat "$M/runs/$1/status")"
	assert_match "$(cat "$M/runs/$1/validation.txt")" "$2"
	ok diff -r --no-dereference "$T/in/$1" "$M/runs/$1/source"
}
folder() { mkdir -p "$T/in/$1"; }

t "a notebook that is no JSON: the line is named"
folder nojson && printf '{"cells": [\n  {,\n]}' >"$T/in/nojson/a.ipynb"
rejected nojson 'line 2|:2'

t "JSON that is no notebook; an old format; an array; empty"
folder notnb && echo '{"a": 1}' >"$T/in/notnb/a.ipynb" && rejected notnb '.'
folder old && echo '{"nbformat": 3, "nbformat_minor": 0, "worksheets": [], "metadata": {}}' >"$T/in/old/a.ipynb" && rejected old '4'
folder arr && echo '[]' >"$T/in/arr/a.ipynb" && rejected arr '.'
folder zero && : >"$T/in/zero/a.ipynb" && rejected zero '.'

t "nested 10,000 deep"
folder deep && "$PY" -c 'print("[" * 10000 + "]" * 10000)' >"$T/in/deep/a.ipynb" && rejected deep '.'
folder deepkj && "$PY" -c 'print("{\"env\":" * 10000 + "1" + "}" * 10000)' >"$T/in/deepkj/kexec.json" &&
	echo 'print(1)' >"$T/in/deepkj/main.py" && rejected deepkj 'kexec\.json'

t "200 MB of notebook"
folder big && "$PY" -c '
import sys
w = sys.stdout.write
w("{\"nbformat\": 4, \"nbformat_minor\": 5, \"metadata\": {}, \"cells\": [{\"cell_type\": \"code\", \"metadata\": {}, \"outputs\": [], \"execution_count\": null, \"source\": \"")
for i in range(200): w("x" * 1000000)
w("\"}]}")' >"$T/in/big/a.ipynb"
start=$SECONDS
rejected big '.'
[ $((SECONDS - start)) -lt 60 ] || complain "took $((SECONDS - start)) s"
rss=$(awk '/VmHWM/{print int($2/1024)}' "/proc/$(server_pid)/status")
# Sanitizers multiply memory; they come with a factor for time.
[ "$rss" -lt $((700 * ${KEXEC_TEST_SLOWER:-1})) ] || complain "the server grew to $rss MB"

t "bytes that are no UTF-8, NULs, a byte order mark"
folder utf && printf '{"nbformat": 4, "x": "\xff\xfe"}' >"$T/in/utf/a.ipynb" && rejected utf '.'
folder nul && printf '{"nbformat": 4, \0 "cells": []}' >"$T/in/nul/a.ipynb" && rejected nul '.'
folder bom && printf '\xef\xbb\xbf{"hours": 1}' >"$T/in/bom/kexec.json" && echo 'print(1)' >"$T/in/bom/main.py"
cp -r "$T/in/bom" "$q/.bom" && mv "$q/.bom" "$q/bom"
assert_final bom complete

t "cells of wrong types, a missing list, a foreign kernel"
folder types && echo '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1, null, {"cell_type": 7}]}' >"$T/in/types/a.ipynb" && rejected types '.'
folder nocells && echo '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}' >"$T/in/nocells/a.ipynb" && rejected nocells '.'
folder rlang && echo '{"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}}, "cells": []}' >"$T/in/rlang/a.ipynb" && rejected rlang 'ir|R'

t "conflict markers of git"
folder conflict && printf 'print(1)\n<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> other\n' >"$T/in/conflict/main.py"
rejected conflict 'merge|conflict|<<<<'

t "kexec.json: unknown keys name the nearest, wrong types, main that leaves the folder"
folder typo && echo '{"gpus": "T4", "expct": ["a"]}' >"$T/in/typo/kexec.json" && echo 'print(1)' >"$T/in/typo/main.py" && rejected typo 'expect'
folder outside && echo '{"main": "../../../etc/passwd"}' >"$T/in/outside/kexec.json" && echo 'print(1)' >"$T/in/outside/main.py" && rejected outside 'main|passwd'
folder abs && echo '{"main": "/etc/passwd"}' >"$T/in/abs/kexec.json" && echo 'print(1)' >"$T/in/abs/main.py" && rejected abs 'main|passwd'
folder exp && echo '{"expect": ["../x"]}' >"$T/in/exp/kexec.json" && echo 'print(1)' >"$T/in/exp/main.py" && rejected exp 'expect|\.\./x'
folder dup && echo '{"hours": 1, "hours": 2}' >"$T/in/dup/kexec.json" && echo 'print(1)' >"$T/in/dup/main.py" && rejected dup 'hours|twice|dupl'

t "symbolic links that lead out are a problem with a fix, never half a copy"
folder link && echo 'print(1)' >"$T/in/link/main.py" && ln -s /etc/passwd "$T/in/link/data.csv" && ln -s ../../.. "$T/in/link/up"
rejected link 'data\.csv'
assert_eq "$(readlink "$M/runs/link/source/data.csv")" /etc/passwd

t "links that stay inside are fine, loops too"
folder inner && echo 'print(open("alias.txt").read())' >"$T/in/inner/main.py" && echo inside >"$T/in/inner/real.txt"
ln -s real.txt "$T/in/inner/alias.txt" && ln -s loop "$T/in/inner/loop"
cp -a "$T/in/inner" "$q/.inner" && mv "$q/.inner" "$q/inner"
assert_match "$(final_state inner)" '^(complete|rejected)$'

t "the entry file is a link out of the folder"
folder mainlink && ln -s /etc/hostname "$T/in/mainlink/main.py"
cp -a "$T/in/mainlink" "$q/.m" && mv "$q/.m" "$q/mainlink"
assert_final mainlink rejected

t "ten thousand small files"
folder files && echo 'import os; print(len(os.listdir("data")))' >"$T/in/files/main.py" && mkdir "$T/in/files/data"
(cd "$T/in/files/data" && seq 10000 | xargs touch)
cp -r "$T/in/files" "$q/.files" && mv "$q/.files" "$q/files"
assert_eq "$(final_state files 120)" complete "$(cat "$M/runs/files/status")"
assert_match "$(cat "$M/runs/files/log")" '^10000$'
assert_eq "$(ls "$M/runs/files/source/data" | wc -l)" 10000

t "deep folders, names of 255 bytes, Japanese, newlines and quotes in file names"
folder names && echo 'print("ok")' >"$T/in/names/main.py"
mkdir -p "$T/in/names/$(printf 'd/%.0s' $(seq 60))"
touch "$T/in/names/$(printf 'n%.0s' $(seq 255))" "$T/in/names/日本語 の ファイル" "$T/in/names/$(printf 'a\nb')" "$T/in/names/\"q' \$x"
cp -r "$T/in/names" "$q/.names" && mv "$q/.names" "$q/names"
assert_eq "$(final_state names)" complete "$(cat "$M/runs/names/status")"
ok diff -r "$T/in/names" "$M/runs/names/source"

t "a script with CRLF, with a BOM, in Latin-1 without a declaration"
folder crlf && printf 'print(1)\r\nprint(2)\r\n' >"$T/in/crlf/main.py" && cp -r "$T/in/crlf" "$q/.c" && mv "$q/.c" "$q/crlf"
assert_final crlf complete
folder latin && printf 'x = "\xe9"\n' >"$T/in/latin/main.py" && cp -r "$T/in/latin" "$q/.l" && mv "$q/.l" "$q/latin"
assert_match "$(final_state latin)" '^(failed|rejected)$'

t "the daemon has not restarted and still answers"
submit_script last 'print("alive")'
assert_final last complete
