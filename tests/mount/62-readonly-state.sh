#!/bin/bash
# A state directory, a mountpoint or a configuration that cannot be used: a sentence and a failing exit, no mount.
. "$(dirname "$0")/lib.sh"
begin

# refuses REGEX ARG…: the daemon ends by itself, not with 0, with a sentence that matches.
refuses() {
	local want=$1 rc
	shift
	timeout 20 "$KEXECFS" "$@" >"$T/out" 2>&1 </dev/null
	rc=$?
	if [ $rc -eq 0 ] || [ $rc -ge 124 ]; then complain "exit status $rc of $*: $(head -c 400 "$T/out")"; fi
	assert_match "$(cat "$T/out")" "$want" "its sentence"
	assert_eq "$(grep -c " $M " /proc/self/mountinfo)" 0 "mounts"
}

t "a read-only state directory"
if [ "$(id -u)" = 0 ] && [ -n "${KEXEC_TEST_PRIVATE:-}" ]; then
	mkdir -p "$STATE" && mount -t tmpfs -o ro kexec-ro "$STATE"
	refuses 'Read-only|read-only' --state "$STATE" --config "$CONFIG" -f "$M"
	umount "$STATE"
elif [ "$(id -u)" != 0 ]; then
	mkdir -p "$STATE" && chmod 0500 "$STATE"
	refuses 'ermission' --state "$STATE" --config "$CONFIG" -f "$M"
	chmod 0700 "$STATE"
else
	skip "needs a private mount namespace"
fi

t "the state directory turns read-only while mounted: reading goes on, writing says so"
if [ "$(id -u)" = 0 ] && [ -n "${KEXEC_TEST_PRIVATE:-}" ]; then
	mkdir -p "$STATE" && mount -t tmpfs -o size=64m kexec-rw "$STATE"
	start_kexec
	submit_script fine 'print("fine")'
	assert_final fine complete
	if mount -o remount,ro "$STATE" 2>/dev/null; then
		assert_eq "$(cat "$M/runs/fine/log")" fine
		notok mkdir "$M/queue/x"
		mount -o remount,rw "$STATE"
		submit_script again 'print("again")'
		assert_final again complete
	else
		echo "# the kernel refuses to remount a tmpfs with files open for writing"
	fi
	stop_kexec
	umount "$STATE" 2>/dev/null || umount -l "$STATE"
else
	skip "needs root and a private mount namespace"
fi

t "a state directory that is a file"
: >"$T/file"
refuses '.' --state "$T/file" --config "$CONFIG" -f "$M"

t "a mountpoint that is absent, a file, or not empty of arguments"
refuses '.' --state "$STATE" --config "$CONFIG" -f "$T/absent"
refuses '.' --state "$STATE" --config "$CONFIG" -f "$T/file"
refuses '.' --state "$STATE" --config "$CONFIG" -f

t "a mountpoint inside the state directory, or the state inside the mountpoint"
mkdir -p "$STATE/inner" "$M/state"
refuses '.' --state "$STATE" --config "$CONFIG" -f "$STATE/inner"
refuses '.' --state "$M/state" --config "$CONFIG" -f "$M"
rmdir "$M/state" 2>/dev/null || rm -rf "$M/state"

t "a configuration that is no JSON names the line; an unknown key the nearest one"
printf '{\n"jobs": oops\n}' >"$CONFIG"
refuses 'line 2|:2' --state "$STATE" --config "$CONFIG" -f "$M"
config '{"default_bakend": "local"}'
refuses 'default_backend' --state "$STATE" --config "$CONFIG" -f "$M"

t "a configuration that others may read is refused"
config '{}'
chmod 0644 "$CONFIG"
refuses '0600|chmod|others|ermission' --state "$STATE" --config "$CONFIG" -f "$M"
chmod 0600 "$CONFIG"

t "a database from another program or cut in half: refused, left untouched"
rm -rf "$STATE" && mkdir "$STATE" && echo "not a database, but long enough to look at it twice" >"$STATE/kexec.db"
sum=$(sha256sum <"$STATE/kexec.db")
refuses '.' --state "$STATE" --config "$CONFIG" -f "$M"
assert_eq "$(sha256sum <"$STATE/kexec.db")" "$sum"

t "and then, with all of that mended, it starts"
rm -rf "$STATE"
start_kexec
assert_exists "$M/README"
