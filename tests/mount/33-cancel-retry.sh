#!/bin/bash
# The words cancel, retry, confirm and priority, and a deadline that has passed.
# tags: quick tsan
. "$(dirname "$0")/lib.sh"
begin
config '{"jobs": {"max": 1}}'
start_kexec
word() { bash -c 'echo "$1" > "$2"' - "$2" "$M/runs/$1/ctl"; }

t "cancel ends a running job with all its children"
submit_script long 'import os, subprocess, time
p = subprocess.Popen(["sleep", "987"])
print("child", p.pid, flush=True)
time.sleep(600)'
wait_for log_has long 'child'
ok word long cancel
assert_final long cancelled
assert_eq "$(pgrep -c -f 'sleep 987')" 0 "children left"

t "cancelling twice says that it is not valid now, and ctl tells why"
assert_errno EBUSY word long cancel
[ "$(head -n 1 "$M/runs/long/ctl" | wc -c)" -gt 20 ] || complain "no sentence in ctl: $(cat "$M/runs/long/ctl")"

t "retry: the same run, the next attempt, wait blocks again"
submit_script flaky 'import os, time
print("try", flush=True)
time.sleep(0.5)
raise ValueError("always")'
assert_final flaky failed
ok word flaky retry
assert_no_match "$(state_of flaky)" '^failed$'
assert_final flaky failed
assert_eq "$(ls "$M/runs/flaky/attempts" | tr '\n' ' ')" "1 2 "
assert_eq "$(json "$M/runs/flaky/state.json" 'j["attempt"]')" 2

t "a cancelled run can be retried"
ok word long retry
wait_for is_state long running
ok word long cancel
assert_final long cancelled

t "retry is not valid in complete"
submit_script fine 'print(1)'
assert_final fine complete
assert_errno EBUSY word fine retry
assert_errno EBUSY word fine cancel

t "one at a time (jobs.max 1): the second waits queued and can be cancelled there"
submit_script first 'import time; time.sleep(600)'
wait_for is_state first running
submit_script second 'print(2)'
pause 1
assert_eq "$(state_of second)" queued
ok word second cancel
assert_final second cancelled
assert_eq "$(ls "$M/runs/second/attempts" | wc -l)" 0 "never tried"

t "priority: the higher one goes first"
submit_script low 'import time; print(time.time_ns())'
submit_script high 'import time; print(time.time_ns())'
ok word low 'priority 1'
ok word high 'priority 9'
assert_errno EINVAL word high 'priority 10'
assert_errno EINVAL word high 'priority'
ok word first cancel
assert_final high complete
assert_final low complete
[ "$(grep -o '[0-9]\{15,\}' "$M/runs/high/log")" -lt "$(grep -o '[0-9]\{15,\}' "$M/runs/low/log")" ] ||
	complain "the lower priority ran first"

t "confirm: waits for a person's word"
submit_script ask 'print("confirmed")' '{"confirm": true}'
wait_for is_state ask confirm
pause 1
assert_eq "$(state_of ask)" confirm
assert_match "$(cat "$M/runs/ask/ctl")" '^confirm'
ok word ask confirm
assert_final ask complete

t "a deadline that has passed: failed, class time_limit, never started"
submit_script late 'print("never")' '{"deadline": "2020-01-01T00:00:00Z"}'
assert_final late failed
assert_eq "$(json "$M/runs/late/state.json" 'j["error_type"]')" time_limit
assert_no_match "$(cat "$M/runs/late/log" 2>&1)" never
