#!/bin/bash
# What a read of status, a stat and a copy cost, beside the same on the file system below.
# limit: 600
. "$(dirname "$0")/../mount/lib.sh"
begin
config '{"submit": "explicit"}'
start_kexec
mkdir "$M/queue/.held"
submit_script base 'print(1)'
assert_final base complete
t "the commonest actions"
mkdir "$T/native"
"$PY" "$(dirname "$0")/basics.py" "$M" "$T/native" >"$T/basics" 2>&1 || complain "$(tail -n 3 "$T/basics")"
sed 's/^/# /' "$T/basics"
