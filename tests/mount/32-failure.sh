#!/bin/bash
# Failed attempts: the class, the message, what happens next, and the folder that tells it.
# tags: quick
. "$(dirname "$0")/lib.sh"
begin
start_kexec

# fails NAME CLASS CODE: a script whose failure must get that class (a regular expression).
fails() {
	t "class $2: $1"
	submit_script "$1" "$3" "${4:-}"
	assert_eq "$(final_state "$1" 60)" failed "$(cat "$M/runs/$1/status")"
	assert_match "$(json "$M/runs/$1/state.json" 'j["error_type"]')" "^($2)\$"
}

fails import missing_dep 'import a_module_that_nobody_has'
assert_match "$(json "$M/runs/import/state.json" 'j["error_context"]')" 'a_module_that_nobody_has'
fails memory-error oom 'raise MemoryError()'
fails no-data dataset_missing 'open("/kaggle/input/titanic/train.csv")'
fails old-pandas pandas_compat 'raise AttributeError("'"'DataFrame' object has no attribute 'append'"'")'
fails timeout network_timeout 'raise TimeoutError("The read operation timed out")'
fails value code 'raise ValueError("bad value")'
fails exit 'code|unknown' 'import sys; sys.exit(3)'
fails syntax code 'def broken(:'
fails talk code 'print("MemoryError No module named x TimeoutError"); raise KeyError("k")'

t "after a failure state.json says whose turn it is"
assert_eq "$(json "$M/runs/value/state.json" 'j["status"]')" in_progress
assert_eq "$(json "$M/runs/value/state.json" 'j["resume_from"]')" builder_model
assert_match "$(json "$M/runs/value/state.json" 'j["error_context"]')" 'bad value'

t "status names the class or the error, and its last event is failed"
assert_match "$(cat "$M/runs/value/status")" '^failed .*(ValueError|bad value|code)'
assert_match "$(tail -n 1 "$M/runs/value/events")" '"failed"'

t "collecting was passed on the way"
assert_match "$(cat "$M/runs/value/events")" '"collecting"'

t "alerts has a line of JSON for it"
wait_for grep -q value "$M/alerts"
ok "$PY" -c 'import json, sys; [json.loads(l) for l in open(sys.argv[1])]' "$M/alerts"

t "report.md has the error and what was done"
assert_match "$(cat "$M/runs/value/report.md")" 'ValueError|bad value'

t "no results, but the attempt keeps what was left"
submit_script leaves 'open("half.csv", "w").write("x"); raise ValueError("after")'
assert_final leaves failed
assert_absent "$M/runs/leaves/results"
assert_eq "$(cat "$M/runs/leaves/attempts/1/output/half.csv")" x

t "a signal: the status names it"
submit_script signalled 'import os; os.abort()'
assert_final signalled failed
assert_match "$(cat "$M/runs/signalled/status" "$M/runs/signalled/attempts/1/status" "$M/runs/signalled/report.md")" 'SIGABRT|[Aa]borted|signal 6'

t "retry by itself where kexec.json asks for it"
submit_script again 'import os
raise TimeoutError("timed out")' '{"on_error": "retry", "retry": {"max_attempts": 2, "delay_seconds": 0.2, "backoff_multiplier": 1}}'
assert_final again failed
assert_eq "$(ls "$M/runs/again/attempts" | wc -l)" 2

t "what was never meant to run is rejected with every problem in validation.txt"
mkdir "$M/queue/.wrong"
printf 'print(1)' >"$M/queue/.wrong/main.py"
printf '{"memroy_gb": 3, "hours": "two"}' >"$M/queue/.wrong/kexec.json"
mv "$M/queue/.wrong" "$M/queue/wrong"
assert_final wrong rejected
assert_match "$(cat "$M/runs/wrong/validation.txt")" 'memory_gb'
assert_match "$(cat "$M/runs/wrong/validation.txt")" 'hours'
ok "$PY" -c 'import json, sys; assert len(json.load(open(sys.argv[1]))) >= 1' "$M/runs/wrong/validation.json"

t "a kexec.json that cannot be parsed, once settled, is rejected with the line"
mkdir "$T/in/json" && echo 'print(1)' >"$T/in/json/main.py" && printf '{\n "hours": 1,\n oops\n}' >"$T/in/json/kexec.json"
ok cp -r "$T/in/json" "$M/queue/json"
assert_final json rejected
assert_match "$(cat "$M/runs/json/validation.txt")" 'kexec\.json.*3|line 3'
