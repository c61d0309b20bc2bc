#!/bin/bash
# The state directory's disk is full: ENOSPC where it belongs, nothing lost, everything works once there is room.
# limit: 180
. "$(dirname "$0")/lib.sh"
need_root
begin
mkdir -p "$STATE"
mount -t tmpfs -o size=24m kexec-small "$STATE" || skip_all "cannot mount a tmpfs"
config '{"disk": "100%"}'
start_kexec 2>/dev/null
q=$M/queue
submit_script before 'print("before")'
assert_eq "$(final_state before)" complete

t "a copy that does not fit gets ENOSPC at write"
mkdir "$T/in/huge"
echo 'print(1)' >"$T/in/huge/main.py"
head -c 60000000 /dev/urandom >"$T/in/huge/data.bin"
assert_errno ENOSPC cp -r "$T/in/huge" "$q/"

t "its folder stays a draft that says so; everything else can be read"
assert_eq "$(final_state huge 40)" draft
assert_match "$(cat "$M/runs/huge/status")" 'refused|space|ENOSPC'
assert_eq "$(cat "$M/runs/before/log")" before
ok ls -lR "$M"
ok cat "$M/runs.csv" "$M/index.html"

t "while it is full, no acknowledged thing is lost and no state is invented"
: >"$STATE/filler"
dd if=/dev/zero of="$STATE/filler" bs=1M 2>/dev/null
mkdir "$q/more" 2>"$T/err"
if [ -d "$q/more" ]; then assert_eq "$(state_of more)" draft; else assert_match "$(cat "$T/err")" 'No space'; fi
assert_eq "$(state_of before)" complete

t "and everything can still be read"
ok cat "$M/runs.csv" "$M/index.html" "$M/status/before" "$M/runs/before/state.json" "$M/alerts"
assert_match "$(cat "$M/runs.csv")" '^before,'
assert_match "$(cat "$M/index.html")" '</html>'
assert_eq "$(json "$M/runs/before/state.json" 'j["state"]')" complete

t "the daemon is alive and works again once there is room"
rm "$STATE/filler"
ok rm -rf "$q/huge" "$q/more"
submit_script after 'print("after")'
assert_eq "$(final_state after 60)" complete "$(cat "$M/runs/after/status")"

t "a job that fills the disk ends with a reason, and its neighbours live"
submit_script filler 'f = open("big.bin", "wb")
while True: f.write(b"x" * 1000000)'
state=$(final_state filler 90)
assert_match "$state" '^(failed|complete)$'
assert_eq "$(cat "$M/runs/after/log")" after
ok rm -rf "$M/runs/filler"
ok rm -rf "$M/removed/filler"
submit_script later 'print("later")'
assert_eq "$(final_state later 60)" complete "$(cat "$M/runs/later/status")"

t "a job that goes on writing into a full disk can be cancelled, and its room freed"
submit_script eater 'import time
f = open("big.bin", "wb", 0)
while True:
    try: f.write(b"x" * 100000)
    except OSError: time.sleep(0.01)'
disk_is_full() { [ "$(df --output=avail "$STATE" | tail -n 1)" -lt 512 ]; }
wait_for disk_is_full || df "$STATE"
assert_match "$(cat "$M/runs/eater/status")" '^running'
ok cat "$M/runs.csv" "$M/index.html" "$M/runs/eater/state.json"
ok sh -c "echo cancel >'$M/runs/eater/ctl'"
assert_eq "$(final_state eater 60)" cancelled "$(cat "$M/runs/eater/status")"
ok rm -rf "$M/runs/eater"
ok rm -rf "$M/removed/eater"
submit_script last 'print("last")'
assert_eq "$(final_state last 60)" complete "$(cat "$M/runs/last/status")"

t "and after a restart everything is as it was"
stop_kexec
start_kexec
assert_eq "$(state_of before)" complete
assert_eq "$(cat "$M/runs/after/log")" after
stop_kexec
umount "$STATE" 2>/dev/null || umount -l "$STATE"
