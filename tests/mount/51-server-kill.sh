#!/bin/bash
# The server is killed again and again under load: no program that uses the mount notices.
# limit: 240
# tags: asan fault
. "$(dirname "$0")/lib.sh"
begin
config '{"submit": "explicit"}'
start_kexec
q=$M/queue
make_notebook_folder "$T/in/nb"
submit_script base 'import time
for i in range(1200):
    print("line", i, flush=True)
    time.sleep(0.1)'
wait_for is_state base running
rounds=${KEXEC_KILL_ROUNDS:-60}
stop=$T/stop

# worker NAME CMD…: repeat until $stop exists; failures go to $T/fail.NAME.
worker() {
	local name=$1 n=0
	shift
	while [ ! -e "$stop" ]; do
		"$@" >"$T/out.$name" 2>&1 || { echo "round $n: $* ($(head -c 300 "$T/out.$name"))" >>"$T/fail.$name"; }
		n=$((n + 1))
	done
	echo $n >"$T/count.$name"
}
do_stat() { stat "$M/runs/base" "$M/README" "$M/latest/base" "$M/runs/base/attempts/1"; }
do_cat() { cat "$M/runs/base/status" "$M/runs.csv" "$M/runs/base/state.json" "$M/README" "$M/status/base"; }
do_list() { ls -l "$M" "$M/runs" "$M/queue" "$M/runs/base" && find "$M/runs/base" >/dev/null; }
do_copy() {
	rm -rf "$q/.copy" && cp -r "$T/in/nb" "$q/.copy" && diff -r "$T/in/nb" "$q/.copy" && rm -rf "$q/.copy"
}
do_names() {
	"$PY" -c '
import os, sys
q = sys.argv[1]
for i in range(20):
    d = f"{q}/.n{i}"
    os.mkdir(d); open(d + "/a", "x").write("1"); os.rename(d + "/a", d + "/b")
    os.symlink("b", d + "/l"); os.unlink(d + "/l"); os.unlink(d + "/b"); os.rename(d, d + "r"); os.rmdir(d + "r")' "$q"
}
do_word() { # each word accepted must count once, and none may fail otherwise
	bash -c 'echo "priority 5" > "$1"' - "$M/runs/waits/ctl"
}
submit_script waits 'print(1)' '{"confirm": true}'
wait_for is_state waits confirm

tail -n +1 -f "$M/runs/base/log" >"$T/tail.out" 2>"$T/tail.err" &
tailpid=$!
timeout 200 cat "$M/runs/base/wait" >"$T/wait.out" 2>&1 &
waitpid=$!
mkdir "$q/.held" && exec 9>"$q/.held/file"

pids=
for w in stat cat list copy names word; do
	worker $w do_$w &
	pids="$pids $!"
done
t "$rounds deaths of the server under load: always a new one"
for ((i = 0; i < rounds; i++)); do
	kill_server
	echo "piece $i" >&9
	pause 0.1$((RANDOM % 10))
done
: >"$stop"
# shellcheck disable=SC2086
wait $pids
[ -n "$KEXEC_PID" ] && kill -0 "$KEXEC_PID" || complain "the keeper is gone"

for w in stat cat list copy names word; do
	t "no failure in: $w ($(cat "$T/count.$w" 2>/dev/null || echo '?') rounds)"
	[ ! -s "$T/fail.$w" ] || complain "$(wc -l <"$T/fail.$w") failures: $(head -n 3 "$T/fail.$w")"
	[ "$(cat "$T/count.$w" 2>/dev/null || echo 0)" -gt 3 ] || complain "it hardly ran"
done

t "a file held open all the time has every piece once"
exec 9>&-
assert_eq "$(cat "$q/.held/file")" "$(for ((i = 0; i < rounds; i++)); do echo "piece $i"; done)"

t "tail -f lost and doubled nothing"
ok bash -c "echo cancel > '$M/runs/base/ctl'"
assert_final base cancelled
caught_up() { [ "$(grep -c '^line' "$T/tail.out")" -ge "$(grep -c '^line' "$M/runs/base/log")" ]; }
wait_for caught_up
kill $tailpid
assert_eq "$(cat "$T/tail.err")" ""
assert_eq "$(grep '^line' "$T/tail.out" | awk '{print $2}' | awk 'NR-1 != $1' | head -n 3)" "" "lines out of order"

t "a blocked wait came back with the end"
wait $waitpid
assert_match "$(cat "$T/wait.out")" '^cancelled '

t "the job itself was executed once and nothing else ran"
assert_eq "$(ls "$M/runs/base/attempts")" 1
assert_eq "$(state_of waits)" confirm

t "the log tells the deaths"
[ "$(grep -c . "$STATE/log")" -gt 0 ] || complain "the log is empty"
