#!/bin/bash
# Changes made by the daemon are seen: poll(2), inotify, tail -f, a blocking wait.
# limit: 240
# tags: quick tsan
. "$(dirname "$0")/lib.sh"
begin
start_kexec

watcher='
import ctypes, os, select, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(0)
masks = 0x2 | 0x4 | 0x100 | 0x200 | 0x40 | 0x80   # modify attrib create delete moved
for i, path in enumerate(sys.argv[2:]):
    if libc.inotify_add_watch(fd, path.encode(), masks) < 0:
        print("cannot watch", path, flush=True)
print("watching", flush=True)
p = select.poll(); p.register(fd, select.POLLIN)
import time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    if p.poll(200):
        data = os.read(fd, 65536)
        while data:
            wd, mask, cookie, n = struct.unpack("iIII", data[:16])
            print("event", wd, hex(mask), data[16:16 + n].rstrip(b"\0").decode(errors="replace"), flush=True)
            data = data[16 + n:]
'

t "poll on status wakes on a change, with POLLPRI|POLLERR, not before"
submit_script polled 'import os, sys, time
print("up", flush=True)
time.sleep(4)'
wait_for is_state polled running
out=$("$PY" -c '
import os, select, sys, time
f = os.open(sys.argv[1], os.O_RDONLY)
os.read(f, 4096)
p = select.poll()
p.register(f, select.POLLPRI | select.POLLERR)
t = time.monotonic()
ev = p.poll(60000)
print(bool(ev) and bool(ev[0][1] & (select.POLLPRI | select.POLLERR)), round(time.monotonic() - t, 1))' "$M/runs/polled/status")
assert_match "$out" '^True '
took=${out#True }
"$PY" -c 'import sys; sys.exit(not 0.2 < float(sys.argv[1]) < 30)' "$took" || complain "woke after $took s"

t "poll on wait: readable once it has ended"
submit_script waited 'import time; time.sleep(2)'
out=$("$PY" -c '
import os, select, sys
f = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
p = select.poll(); p.register(f, select.POLLIN)
first = p.poll(0)
ev = p.poll(60000)
print(bool(first), bool(ev), os.read(f, 4096).decode().split()[0])' "$M/runs/waited/wait")
assert_eq "$out" "False True complete"

t "poll on log and events wakes when they grow"
submit_script grows 'import time
for i in range(30): print("line", i, flush=True); time.sleep(0.2)'
wait_for is_state grows running
out=$("$PY" -c '
import os, select, sys
p = select.poll()
fds = [os.open(a, os.O_RDONLY) for a in sys.argv[1:]]
for f in fds: os.read(f, 1 << 16); p.register(f, select.POLLPRI | select.POLLERR)
woken = set()
import time
end = time.monotonic() + 30
while time.monotonic() < end and len(woken) < len(fds):
    for f, e in p.poll(1000):
        woken.add(f); p.unregister(f)
print(len(woken))' "$M/runs/grows/log" "$M/runs/grows/events")
assert_eq "$out" 2

t "inotify: watchers of runs/, status, latest/ and queue/ are told"
mkdir "$M/queue/seen"
"$PY" -c "$watcher" 40 "$M/runs" "$M/queue" "$M/latest" "$M/runs/seen/status" >"$T/events" 2>&1 &
watch=$!
wait_for grep -q watching "$T/events"
echo 'print("seen")' >"$M/queue/seen/main.py"
: >"$M/queue/seen/.submit"
assert_final seen complete
told() { grep -qE "^event $1 " "$T/events"; }
wait_for told 4 || complain "no event for the status: $(cat "$T/events")"
wait_for told 2 || complain "no event for queue/: $(cat "$T/events")"

t "inotify: a new run is an event in runs/"
submit_script fresh 'print(1)'
assert_final fresh complete
wait_for grep -qE '^event 1 ' "$T/events" || complain "$(cat "$T/events")"
kill $watch

t "inotifywait sees results appear"
if command -v inotifywait >/dev/null; then
	submit_script shown 'import time; time.sleep(3); open("r.csv", "w").write("1")'
	wait_for is_state shown running
	timeout 30 inotifywait -q -e create -e attrib -e modify "$M/runs/shown" >"$T/iw" 2>&1 &
	iw=$!
	assert_final shown complete
	wait $iw
	assert_eq $? 0 "$(cat "$T/iw")"
else
	skip "inotifywait is not installed"
fi

t "tail -f of the log shows a line within two seconds"
submit_script tailed 'import time
for i in range(60): print("stamp", time.time(), flush=True); time.sleep(0.25)'
wait_for is_state tailed running
timeout 8 tail -n 0 -f "$M/runs/tailed/log" 2>/dev/null | "$PY" -uc '
import sys, time
late = []
for l in iter(sys.stdin.readline, ""):
    w = l.split()
    if len(w) == 2 and w[0] == "stamp": late.append(time.time() - float(w[1]))
print(len(late), round(max(late[5:] or [99]), 2))' >"$T/late"
read -r n worst <"$T/late"
[ "$n" -gt 10 ] || complain "only $n lines in 8 s"
"$PY" -c 'import sys; sys.exit(float(sys.argv[1]) > 2.2 * float(sys.argv[2]))' "$worst" "${KEXEC_TEST_SLOWER:-1}" || complain "worst delay $worst s"

t "wait is interrupted by SIGINT and SIGTERM at once"
submit_script blocked 'import time; time.sleep(600)'
for sig in INT TERM KILL; do
	# A shell without job control lets its background jobs ignore SIGINT.
	"$PY" -c 'import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); open(sys.argv[1]).read()' \
		"$M/runs/blocked/wait" 2>/dev/null &
	pid=$!
	pause 0.4
	kill -$sig $pid
	start=$(millis)
	wait $pid 2>/dev/null
	[ $(($(millis) - start)) -lt 1000 ] || complain "SIG$sig took $(($(millis) - start)) ms"
done
