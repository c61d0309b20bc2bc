#!/bin/bash
# Mounted by an ordinary user through fusermount3, in the background, unmounted with fusermount3 -u.
# tags: quick
. "$(dirname "$0")/lib.sh"
need_user
begin
daemon() { "$KEXECFS" --state "$STATE" --config "$CONFIG" "$M" >>"$T/daemon.out" 2>&1 </dev/null; }
unmounted() { ! grep -q " $M " /proc/self/mountinfo; }
no_daemon() { ! pgrep -u "$(id -u)" -f "state $STATE" >/dev/null; }

t "without -f the command returns when the mount answers"
ok daemon
mounted || die "not mounted: $(cat "$T/daemon.out")"

t "everything belongs to the user who mounted"
assert_eq "$(stat -c %u "$M" "$M/runs" "$M/README" | sort -u)" "$(id -u)"
assert_match "$(grep " $M " /proc/self/mountinfo)" 'nosuid,nodev'
assert_match "$(grep " $M " /proc/self/mountinfo)" "user_id=$(id -u)"
assert_no_match "$(grep " $M " /proc/self/mountinfo)" 'allow_other'

t "a run completes; its job is the same user"
submit_script mine 'import os
print("uid", os.getuid() >= 0)
open("out", "w").write("1")'
assert_eq "$(final_state mine)" complete "$(cat "$M/runs/mine/status")"
assert_eq "$(stat -c %u "$M/runs/mine/results/out")" "$(id -u)"

t "rm -rf, mv and rmdir work for a user who is not root"
ok rm -rf "$M/runs/mine"
ok mv "$M/removed/mine" "$M/runs/"
ok cp -r "$M/runs/mine" "$T/copy"

t "fusermount3 -u ends it, the daemon with it"
ok fusermount3 -u "$M"
wait_for unmounted
wait_for no_daemon

t "a job that runs on is found at the next mount"
ok daemon
submit_script on 'import time
for i in range(40): print("tick", i, flush=True); time.sleep(0.1)'
wait_for log_has on 'tick 3'
ok fusermount3 -uz "$M"
wait_for unmounted
mount_again() { daemon && mounted; }
wait_for mount_again
assert_final on complete
assert_eq "$(grep -c '^tick 5$' "$M/runs/on/log")" 1
ok fusermount3 -u "$M"
wait_for unmounted
