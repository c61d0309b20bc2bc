#!/bin/bash
# The command line: each mistake gets one clear sentence and an exit status; ^C unmounts; --doctor changes nothing.
# tags: quick asan
# limit: 120
. "$(dirname "$0")/lib.sh"
begin

# refused STATUS SENTENCE ARG…: kexecfs ends with that status, says one line on stderr that matches, and
# nothing is mounted.
refused() {
	local status=$1 sentence=$2 out rc
	shift 2
	out=$(timeout 20 "$KEXECFS" "$@" 2>&1 </dev/null)
	rc=$?
	assert_eq "$rc" "$status" "exit status of kexecfs $*"
	assert_eq "$(wc -l <<<"$out")" 1 "lines about kexecfs $*"
	assert_match "$out" "^kexecfs: .*$sentence"
	notok mounted
}
own() { refused "$1" "$2" --state "$STATE" --config "$CONFIG" "${@:3}"; }

t "an option that is not known, or lacks its value, is named"
own 2 'option `--colour` is not known: see kexecfs --help' --colour "$M"
own 2 'option `-q` is not known' -q "$M"
refused 2 'option `--state` needs a value' --state
own 2 'option `allow_othr` is not known; did you mean `allow_other`' -o allow_othr "$M"
own 2 'a mount point is needed'
own 1 'there is no user `nobody-has-this-name`' -o user=nobody-has-this-name "$M"

t "a mount point must be an empty folder apart from the state"
own 1 "$T/absent: No such file" "$T/absent"
: >"$T/file"
own 1 "$T/file is not a directory" "$T/file"
own 1 'must not contain each other' "$STATE"
mkdir "$T/full" && : >"$T/full/letter"
own 1 "$T/full is not empty .* -o nonempty" "$T/full"
assert_exists "$T/full/letter"

t "a mount that would hide the program or its configuration is refused at once"
cp "$KEXECFS" "$T/full/kexecfs"
out=$(timeout 20 "$T/full/kexecfs" --state "$STATE" --config "$CONFIG" -o nonempty "$T/full" 2>&1)
assert_eq $? 1
assert_match "$out" "would hide $T/full/kexecfs"
own 1 "would hide $CONFIG" -o nonempty "$T/config"

t "-o nonempty covers what is there until it is unmounted"
M=$T/full start_kexec -o nonempty
assert_absent "$T/full/letter"
M=$T/full stop_kexec
assert_exists "$T/full/letter"

t "a configuration with a secret that others may read is refused, and the sentence has the command"
cat >"$T/open.json" <<'END'
{"backends": {"kaggle": {"key": "a-very-secret-key"}}}
END
chmod 0644 "$T/open.json"
refused 1 "chmod 600 $T/open.json" --state "$STATE" --config "$T/open.json" "$M"
out=$("$KEXECFS" --config "$T/open.json" --state "$STATE" --doctor)
assert_eq $? 1
assert_match "$out" "^missing .*chmod 600"
assert_no_match "$out" secret-key
refused 1 "$T/none.json" --state "$STATE" --config "$T/none.json" "$M"

t "--doctor makes nothing"
before=$(find "$T" | sort)
(cd "$T/home" && "$KEXECFS" --doctor >"$T/doctor.out") || [ $? = 1 ] || complain "status of --doctor"
assert_match "$(cat "$T/doctor.out")" "state directory: $T/xdg/kexec .*first mount"
"$KEXECFS" --state "$T/deep/er/state" --config "$CONFIG" --doctor >"$T/doctor.out"
assert_match "$(cat "$T/doctor.out")" "state directory: $T/deep/er/state .*first mount"
rm "$T/doctor.out"
assert_eq "$(find "$T" | sort)" "$before" "what --doctor left"

t "a second daemon on the same mount or the same state is refused"
start_kexec
mkdir "$T/mnt2"
out=$(timeout 20 "$KEXECFS" --state "$STATE" --config "$CONFIG" "$T/mnt2" 2>&1)
assert_eq $? 1 "a second daemon on the state"
assert_match "$out" "^kexecfs: another kexecfs uses the state directory $STATE"
out=$(timeout 20 "$KEXECFS" --state "$T/state2" --config "$CONFIG" "$M" 2>&1)
assert_eq $? 1 "a second daemon on the mount point"
same=$(timeout 20 "$KEXECFS" --state "$STATE" --config "$CONFIG" "$M" 2>&1)
assert_eq "$same" "$out" "the same command once more"
assert_match "$out" "^kexecfs: $M is already mounted by kexecfs"
assert_eq "$(wc -l <<<"$out")" 1
ok mounted

t "^C unmounts and ends with 0, and a running job goes on"
submit_script sleeper 'import time; time.sleep(600)'
wait_for is_state sleeper running
# A shell starts background jobs with SIGINT ignored; the daemon takes it all the same.
kill -INT "$KEXEC_PID"
wait "$KEXEC_PID"
assert_eq $? 0 "exit status after SIGINT"
KEXEC_PID=
notok mounted
assert_eq "$(grep -c " $M " /proc/self/mountinfo)" 0 "left in mountinfo"

t "the command returns when the mount answers; fusermount3 -u or umount ends it"
ok timeout 30 "$KEXECFS" --state "$STATE" --config "$CONFIG" "$M"
ok mounted
wait_for is_state sleeper running
echo cancel >"$M/runs/sleeper/ctl"
assert_final sleeper cancelled
if [ "$(id -u)" = 0 ]; then ok umount "$M"; else ok fusermount3 -u "$M"; fi
state_free() { flock -n "$STATE/lock" true; }
wait_for state_free
notok mounted
