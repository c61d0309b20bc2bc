#!/bin/bash
# Where the state may be: not on FUSE unless said, not somebody else's, not open to others; links are followed.
# tags: quick asan
. "$(dirname "$0")/lib.sh"
begin
mode_of() { stat -c %a "$1"; }

# refused SENTENCE DIRECTORY: exit status 1, one line that matches, no mount; --doctor says the same.
refused() {
	local out rc
	out=$(timeout 20 "$KEXECFS" --state "$2" --config "$CONFIG" "$T/mnt2" 2>&1 </dev/null)
	rc=$?
	assert_eq "$rc" 1 "exit status with the state in $2"
	assert_eq "$(wc -l <<<"$out")" 1 "lines"
	assert_match "$out" "^kexecfs: .*$1"
	assert_eq "$(grep -c " $T/mnt2 " /proc/self/mountinfo)" 0 "mounts"
}
doctor_says() {
	"$KEXECFS" --state "$2" --config "$CONFIG" --doctor >"$T/doctor" 2>&1
	assert_match "$(grep 'state directory' "$T/doctor")" "$1"
}
mkdir "$T/mnt2"
start_kexec
OUTER=$M OUTER_PID=$KEXEC_PID

t "a state directory on FUSE is refused, and so is one that would be made there"
on_fuse=$M/knowledge/state
refused "$on_fuse/deeper is on FUSE, .*--state DIR" "$on_fuse/deeper"
assert_absent "$on_fuse"
mkdir "$on_fuse"
refused "$on_fuse is on FUSE, where a crash could lose what was acknowledged" "$on_fuse"
assert_eq "$(ls -A "$on_fuse")" "" "what was left there"
doctor_says '^missing .*on FUSE' "$on_fuse"

t "a link to it is no way around"
ln -s "$on_fuse" "$T/to-fuse"
refused 'is on FUSE' "$T/to-fuse"

t "with state_on_fuse it is taken, and what is acknowledged is there after a kill"
config '{"state_on_fuse": true}'
doctor_says '^ok ' "$on_fuse"
M=$T/mnt2 STATE=$on_fuse
start_kexec
mkdir "$M/queue/odd"
echo '{"kin' >"$M/queue/odd/kexec.json"
: >"$M/queue/odd/.submit"
assert_final odd rejected
mkdir "$M/queue/draft"
echo 'print(1)' >"$M/queue/draft/main.py"
kill_server
assert_eq "$(state_of odd)" rejected
kill_daemon
start_kexec
assert_eq "$(state_of odd)" rejected
assert_eq "$(cat "$M/queue/draft/main.py")" 'print(1)'
stop_kexec
config '{}'
M=$OUTER STATE=$T/state KEXEC_PID=$OUTER_PID
stop_kexec

t "a state directory that others could write into is closed to them"
mkdir "$T/open" && chmod 2777 "$T/open"
STATE=$T/open start_kexec
assert_eq "$(mode_of "$T/open")" 700
assert_eq "$(find "$T/open" -maxdepth 1 -name 'kexec.db*' -perm /0022)" "" "files that others may write"
stop_kexec

t "a link to a folder of one's own is followed, and the folder it leads to is what is locked"
mkdir "$T/real"
ln -s "$T/real" "$T/link"
STATE=$T/link start_kexec
assert_exists "$T/real/kexec.db"
refused "another kexecfs uses the state directory $T/real" "$T/real"
stop_kexec

t "a link that leads nowhere, or in a circle: a sentence, and nothing is made"
ln -s "$T/nowhere" "$T/dangling"
refused "$T/dangling" "$T/dangling"
assert_absent "$T/nowhere"
ln -s circle "$T/circle"
refused "$T/circle: Too many levels of symbolic links" "$T/circle"

t "a folder of somebody else's is refused, also behind a link"
if [ "$(id -u)" = 0 ]; then
	mkdir "$T/theirs" && chown 65534 "$T/theirs"
	theirs=$T/theirs
else
	theirs=/usr
fi
refused "$theirs belongs to another user" "$theirs"
ln -s "$theirs" "$T/to-theirs"
refused "$T/to-theirs belongs to another user" "$T/to-theirs"
doctor_says 'belongs to another user' "$theirs"

t "a folder that may not be written is refused and stays as it was"
mkdir "$T/closed"
if [ "$(id -u)" != 0 ]; then
	chmod 0500 "$T/closed"
	refused 'cannot be written: Permission denied' "$T/closed"
	refused 'cannot be written: Permission denied' "$T/closed/inner"
	assert_eq "$(mode_of "$T/closed")" 500
elif [ -n "${KEXEC_TEST_PRIVATE:-}" ] && mount -t tmpfs -o ro,mode=0750 kexec-ro "$T/closed"; then
	refused 'cannot be written: Read-only file system' "$T/closed"
	refused 'cannot be written: Read-only file system' "$T/closed/inner"
	assert_eq "$(mode_of "$T/closed")" 750
	umount "$T/closed"
else
	skip "needs a private mount namespace"
fi
