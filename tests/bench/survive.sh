#!/bin/bash
# The pause that users see when the server is killed, idle and under load; KEXEC_KILL_ROUNDS deaths each.
# limit: 900
. "$(dirname "$0")/../mount/lib.sh"
begin
config '{"submit": "explicit"}'
start_kexec
submit_script base 'import time
time.sleep(800)'
wait_for is_state base running
rounds=${KEXEC_KILL_ROUNDS:-200}
for load in idle loaded; do
	t "$rounds deaths, $load"
	"$PY" "$(dirname "$0")/pause.py" "$M" "$KEXEC_PID" "$rounds" "$load" >"$T/pause.$load" || complain "operations failed"
	sed 's/^/# /' "$T/pause.$load"
	rm -rf "$M/queue/.d" "$M/queue/.c"
done
t "the job went on"
assert_eq "$(state_of base)" running
echo cancel >"$M/runs/base/ctl"
assert_final base cancelled
