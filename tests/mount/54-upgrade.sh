#!/bin/bash
# SIGHUP replaces the server, by a newer binary where there is one: readers, writers and jobs go on.
# tags: fault
. "$(dirname "$0")/lib.sh"
begin
config '{"submit": "explicit"}'
cp "$KEXECFS" "$T/kexecfs"
KEXECFS=$T/kexecfs start_kexec
submit_script base 'import time
for i in range(600):
    print("line", i, flush=True)
    time.sleep(0.05)'
wait_for is_state base running
other_server() { [ -n "$(server_pid)" ] && [ "$(server_pid)" != "$old" ]; }

t "a new server takes over; the path says which binary"
old=$(server_pid)
mv "$T/kexecfs" "$T/kexecfs.old"
cp "$T/kexecfs.old" "$T/kexecfs"
kill -HUP "$KEXEC_PID"
wait_for other_server
assert_eq "$(readlink "/proc/$(server_pid)/exe")" "$T/kexecfs"
assert_eq "$(state_of base)" running

t "a binary that cannot take over does not get to try: the mount goes on"
old=$(server_pid)
mv "$T/kexecfs" "$T/kexecfs.good"
printf '#!/bin/sh\nexit 1\n' >"$T/kexecfs"
chmod +x "$T/kexecfs"
kill -HUP "$KEXEC_PID"
for ((i = 0; i < 20; i++)); do assert_eq "$(state_of base)" running; done
kill -KILL "$old"
wait_for other_server
assert_eq "$(state_of base)" running
mv "$T/kexecfs.good" "$T/kexecfs"

t "20 replacements under load: no operation fails"
mkdir "$M/queue/.held"
exec 9>"$M/queue/.held/file"
timeout 100 cat "$M/runs/base/wait" >"$T/wait.out" 2>&1 &
waiter=$!
(
	while [ ! -e "$T/stop" ]; do
		rm -rf "$M/queue/.c" && cp -r "$SOURCE_ROOT/fs/base" "$M/queue/.c" && diff -r "$SOURCE_ROOT/fs/base" "$M/queue/.c" || echo failed
		cat "$M/status/base" >/dev/null || echo failed
	done
) >"$T/load" 2>&1 &
load=$!
for ((i = 0; i < 20; i++)); do
	old=$(server_pid)
	kill -HUP "$KEXEC_PID"
	wait_for other_server
	echo "piece $i" >&9
done
: >"$T/stop"
wait $load
assert_eq "$(cat "$T/load")" ""
exec 9>&-
assert_eq "$(cat "$M/queue/.held/file")" "$(for ((i = 0; i < 20; i++)); do echo "piece $i"; done)"

t "a read that was waiting all the time comes back with the end"
echo cancel >"$M/runs/base/ctl"
assert_final base cancelled
wait $waiter
assert_match "$(cat "$T/wait.out")" '^cancelled '
assert_eq "$(ls "$M/runs/base/attempts")" 1
