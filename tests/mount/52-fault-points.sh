#!/bin/bash
# Every durable step is a point at which the process that makes it dies, or at which the disk fails: the run still
# ends once, and nothing that was acknowledged is lost. KEXEC_FAULT_POINTS says how many points are tried (default 40, spread
# over all of them; 0 = all).
# limit: 400
# tags: fault
. "$(dirname "$0")/lib.sh"
begin
fault=$T/fault
export KEXEC_FAULT=$fault
points=${KEXEC_FAULT_POINTS:-40}

# set_fault TARGET ACTION ERRNO: 0 = only count, 1 = SIGKILL itself, 2 = fail with that errno.
set_fault() {
	"$PY" -c '
import os, struct, sys
target, action, err = map(int, sys.argv[2:])
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o666)
os.ftruncate(f, 4096)
os.pwrite(f, struct.pack("QQII64x", 0, target, action, err), 0)' "$fault" "$1" "$2" "${3:-0}"
	chmod 0666 "$fault"
}
fault_count() { "$PY" -c 'import struct, sys; print(struct.unpack("Q", open(sys.argv[1], "rb").read(8))[0])' "$fault"; }
fault_name() { "$PY" -c 'import sys; print(open(sys.argv[1], "rb").read(88)[24:].split(b"\0")[0].decode())' "$fault"; }

# Start it again as often as it died; a point may lie in the start itself.
keep_running() {
	local i
	for i in 1 2 3 4; do
		if [ -n "$KEXEC_PID" ] && kill -0 "$KEXEC_PID" 2>/dev/null; then mounted && return 0; fi
		if [ -n "$KEXEC_PID" ]; then wait "$KEXEC_PID" 2>/dev/null; fi
		unmount_hard
		"$KEXECFS" --state "$STATE" --config "$CONFIG" -f "$M" >>"$T/daemon.out" 2>&1 </dev/null &
		KEXEC_PID=$!
		until_mounted && return 0
	done
	return 1
}
submitted() { [ -e "$M/latest/job" ]; }
try_submit() {
	keep_running || return 1
	submitted && return 0
	[ -d "$M/queue/.job" ] || mkdir "$M/queue/.job" || return 1
	printf 'print("begin", flush=True)\nopen("out.txt", "w").write("done")\n' >"$M/queue/.job/main.py" || return 1
	mv "$M/queue/.job" "$M/queue/job"
}
ended() { keep_running && is_final job; }
begins() { cat "$M"/runs/job/attempts/*/log 2>/dev/null | grep -c '^begin'; }

# scenario: a run from mkdir to its end, with the daemon started again wherever it died.
scenario() {
	rm -rf "$STATE"
	KEXEC_PID=
	wait_for -n 30 try_submit || return
	wait_for -n 60 ended || return
}
# once: the run of this scenario has been executed once in each of its attempts, and its result agrees with its state.
once() { # NAME
	local state attempts
	state=$(state_of job)
	attempts=$(ls "$M/runs/job/attempts" | wc -l)
	[ "$(ls "$M/runs" | grep -c '^job')" = 1 ] || complain "$1: runs: $(ls "$M/runs" | tr '\n' ' ')"
	[ "$(begins)" -le "$attempts" ] || complain "$1: $(begins) executions in $attempts attempts"
	for a in "$M"/runs/job/attempts/*/log; do
		[ "$(grep -c '^begin' "$a")" -le 1 ] || complain "$1: one attempt was executed twice"
	done
	case $state in
	complete) [ "$(cat "$M/runs/job/results/out.txt" 2>&1)" = "done" ] || complain "$1: complete without its result" ;;
	failed) assert_match "$(json "$M/runs/job/state.json" 'j["error_type"]')" '^(infra|unknown)$' "$1" ;;
	*) complain "$1: ended as $state" ;;
	esac
}

t "without a fault: complete, and the points are counted"
set_fault 0 0
scenario || die "the scenario does not even work without a fault"
assert_eq "$(state_of job)" complete
total=$(fault_count)
stop_kexec
echo "# $total points"
[ "$total" -ge 5 ] || complain "only $total points were passed"
[ "$points" -gt 0 ] && [ "$points" -lt "$total" ] || points=$total

t "SIGKILL at $points of $total points: executed once, the state agrees with the result"
for ((k = 0; k < points; k++)); do
	n=$((1 + k * total / points))
	set_fault $n 1
	scenario || echo "# at point $n ($(fault_name))"
	once "point $n ($(fault_name))"
	stop_kexec quietly
done

t "a failing disk (EIO, ENOSPC) at $((points / 2)) of $total points: told, survived, nothing doubled"
for ((k = 0; k < points / 2; k++)); do
	n=$((1 + k * total / (points / 2)))
	set_fault $n 2 $((k % 2 ? 28 : 5))
	rm -rf "$STATE"
	KEXEC_PID=
	if wait_for -n 30 try_submit 2>/dev/null; then
		if wait_for -n 60 ended; then
			[ "$(begins)" -le "$(ls "$M/runs/job/attempts" | wc -l)" ] || complain "point $n ($(fault_name)): executed twice"
			assert_match "$(state_of job)" '^(complete|failed|rejected)$' "point $n ($(fault_name))"
		fi
	fi
	stop_kexec quietly
done
