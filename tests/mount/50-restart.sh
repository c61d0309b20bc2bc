#!/bin/bash
# The daemon stops, is killed or loses its keeper while jobs run: they go on and run exactly once.
# limit: 240
# tags: asan fault
. "$(dirname "$0")/lib.sh"
begin
start_kexec
# Executions are counted by what the log says: one "begin" an execution, over all attempts.
begins() { cat "$M/runs/$1"/attempts/*/log | grep -c '^begin'; }
job='import time
print("begin", flush=True)
for i in range(SECONDS * 10):
    time.sleep(0.1)
    print("tick", i, flush=True)
open("out.txt", "w").write("done")'

t "SIGTERM and start: a running job is picked up where it is"
submit_script picked "${job/SECONDS/6}"
wait_for log_has picked 'tick 3$'
stop_kexec
start_kexec
assert_match "$(state_of picked)" '^(running|unknown|collecting|complete)$'
assert_final picked complete
assert_eq "$(begins picked)" 1 "executions"
assert_eq "$(cat "$M/runs/picked/results/out.txt")" "done"
assert_eq "$(ls "$M/runs/picked/attempts")" 1

t "it ended while no daemon was there: found at the next start"
submit_script alone "${job/SECONDS/2}"
wait_for log_has alone 'tick 3$'
stop_kexec
pause 3
start_kexec
assert_final alone complete
assert_eq "$(begins alone)" 1 "executions"
assert_match "$(cat "$M/runs/alone/log")" 'tick 19'

t "kill -9 of keeper, server and notifier at once: the same"
submit_script orphan "${job/SECONDS/6}"
wait_for log_has orphan 'tick 3$'
kill_daemon
start_kexec
assert_final orphan complete
assert_eq "$(begins orphan)" 1 "executions"

t "kill -9 around the submission itself: exactly one execution, five times"
for i in 1 2 3 4 5; do
	mkdir "$M/queue/.s$i"
	echo 'print("begin", flush=True)' >"$M/queue/.s$i/main.py"
	mv "$M/queue/.s$i" "$M/queue/s$i"
	pause "0.0$i"
	kill_daemon
	start_kexec
done
for i in 1 2 3 4 5; do
	assert_final "s$i" complete
	assert_eq "$(begins "s$i")" 1 "executions of s$i"
done

t "a queued run waits over a restart; an ended one is unchanged"
before=$(cat "$M/runs/picked/status" "$M/runs/picked/state.json" "$M/runs/picked/events")
stop_kexec
config '{"jobs": {"max": 1}}'
start_kexec
submit_script hog 'import time; time.sleep(600)'
wait_for is_state hog running
submit_script next 'print("begin")'
stop_kexec
start_kexec
assert_match "$(state_of next)" '^(queued|waiting)$'
ok bash -c "echo cancel > '$M/runs/hog/ctl'"
assert_final hog cancelled
assert_final next complete
assert_eq "$(cat "$M/runs/picked/status" "$M/runs/picked/state.json" "$M/runs/picked/events")" "$before"

t "a draft that was being written when the mount was lost waits for a person"
mkdir "$M/queue/lost"
exec 8>"$M/queue/lost/main.py"
echo 'print(1)' >&8
kill_daemon
exec 8>&- 2>/dev/null
start_kexec
assert_eq "$(final_state lost 40)" draft
assert_exists "$M/queue/lost/main.py"
ok touch "$M/queue/lost/.submit"
assert_final lost complete

t "what was acknowledged is there: fsync, a rename, a word"
mkdir "$M/queue/.kept"
"$PY" -c 'import os, sys
f = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); os.write(f, b"synced"); os.fsync(f)' "$M/queue/.kept/f"
mv "$M/runs/alone" "$M/runs/renamed"
rmdir "$M/runs/orphan"
kill_daemon
start_kexec
assert_eq "$(cat "$M/queue/.kept/f")" synced
assert_exists "$M/runs/renamed"
assert_absent "$M/runs/alone"
assert_exists "$M/removed/orphan"

t "a second daemon on the same state refuses with a sentence"
mkdir "$T/mnt2"
timeout 20 "$KEXECFS" --state "$STATE" --config "$CONFIG" -f "$T/mnt2" >"$T/second" 2>&1 </dev/null
rc=$?
[ $rc -ne 0 ] && [ $rc -ne 124 ] || complain "exit status $rc"
[ -s "$T/second" ] || complain "it says nothing"
mounted || complain "the first one suffered"

t "a stale dead mount on the mountpoint is replaced"
kill_daemon_leaving_mount() { local kids pid=$KEXEC_PID; KEXEC_PID=; kids=$(children_of "$pid")
	# shellcheck disable=SC2086
	kill -STOP $kids; kill -KILL "$pid" $kids 2>/dev/null; wait "$pid" 2>/dev/null
	# While one of them is still ending it holds the session, and the mount is no dead one yet.
	for pid in $kids; do wait_for dead "$pid"; done; }
kill_daemon_leaving_mount
start_kexec
assert_exists "$M/runs/renamed"
