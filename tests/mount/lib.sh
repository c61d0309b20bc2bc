# Harness of the mount tests. A test is an executable script in this folder that starts with
#
#	#!/bin/bash
#	# What it shows, in one line.
#	# tags: quick asan tsan        (optional: the selections of tests/run it belongs to)
#	# limit: 300                   (optional: seconds the whole script may take, default 120)
#	. "$(dirname "$0")/lib.sh"
#
# It may be run by hand: tests/mount/20-draft.sh. KEXECFS names the binary, default build/kexecfs.
#
# Every script has its own scratch folder, state directory, mountpoint and configuration, and as root its
# own mount and pid namespaces, so that nothing it starts can outlive it. Output is TAP: `t SENTENCE`
# opens a case, the assertions after it belong to it, the next `t` (or the end) closes it. A failed
# assertion is printed and does not end the script; `die` does. `skip_all REASON` is exit status 77.
# Nothing sleeps for a fixed time: `wait_for CMD…` polls a condition.

set -u
SOURCE_ROOT=${KEXEC_TEST_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
KEXECFS=${KEXECFS:-$SOURCE_ROOT/build/kexecfs}
PY=${KEXEC_TEST_PYTHON:-/usr/bin/python3}
export LC_ALL=C.UTF-8 LANG=C.UTF-8 TZ=UTC
unset LANGUAGE

skip_all() { echo "1..0 # SKIP $*"; exit 77; }
script_path() { echo "$(cd "$(dirname "$0")" && pwd)/$(basename "$0")"; }
script_header() { sed -n "2,12s/^# $1: *//p" "$0"; }

# ---- Namespaces and the time limit: the script starts itself again inside them, once. ----

enter_namespaces() {
	local self limit
	self=$(script_path)
	limit=$(script_header limit)
	limit=$((${limit:-120} * ${KEXEC_TEST_SLOWER:-1}))
	export KEXEC_TEST_STAGE=1
	if [ "$(id -u)" = 0 ] && unshare --mount --pid --fork --mount-proc true 2>/dev/null; then
		export KEXEC_TEST_PRIVATE=1
		exec timeout -k 15 "$limit" unshare --mount --pid --fork --kill-child --mount-proc \
			--propagation private bash "$self" "$@"
	fi
	exec timeout -k 15 "$limit" bash "$self" "$@"
}
[ -n "${KEXEC_TEST_STAGE:-}" ] || enter_namespaces "$@"

# This script only makes sense as root (a small disk to fill, other users).
need_root() {
	[ "$(id -u)" = 0 ] && [ -n "${KEXEC_TEST_PRIVATE:-}" ] && return
	if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then
		exec sudo -n env -u KEXEC_TEST_STAGE KEXECFS="$KEXECFS" KEXEC_TEST_PYTHON="$PY" \
			bash "$(script_path)"
	fi
	skip_all "needs root and a private mount namespace"
}

# The rest of the script runs as an unprivileged user. As root: uid 65534 in the private namespace,
# with a /dev/fuse that everybody may open and a view of the source tree that does not lead through
# folders closed to that user. As an ordinary user: nothing to do.
need_user() {
	[ "$(id -u)" = 0 ] || return 0
	[ -n "${KEXEC_TEST_PRIVATE:-}" ] || skip_all "needs a private mount namespace"
	command -v fusermount3 >/dev/null || skip_all "fusermount3 is not installed"
	local base self
	# Any folder that is there on every machine: it is covered in this namespace only.
	for base in /mnt /media /srv /opt; do
		[ -d $base ] && [[ $SOURCE_ROOT != $base* && $KEXECFS != $base* ]] && break
	done
	mount -t tmpfs -o mode=0755 kexec-test "$base" || skip_all "cannot mount a tmpfs"
	mknod "$base/fuse" c 10 229 && chmod 0666 "$base/fuse" && mount --bind "$base/fuse" /dev/fuse ||
		skip_all "cannot make a /dev/fuse for an ordinary user"
	mkdir "$base/src" "$base/bin" "$base/tmp"
	mount --bind "$SOURCE_ROOT" "$base/src"
	mount --bind "$(dirname "$KEXECFS")" "$base/bin"
	chown 65534:65534 "$base/tmp"
	self=$base/src/tests/mount/$(basename "$0")
	exec setpriv --reuid=65534 --regid=65534 --clear-groups env -i PATH="/usr/local/bin:/usr/bin:/bin" \
		HOME="$base/tmp" USER=nobody TMPDIR="$base/tmp" LC_ALL=C.UTF-8 TZ=UTC \
		KEXEC_TEST_STAGE=2 KEXEC_TEST_SOURCE="$base/src" KEXECFS="$base/bin/$(basename "$KEXECFS")" \
		KEXEC_TEST_PYTHON="$PY" bash "$self"
}

# ---- Scratch and clean-up ----

[ -x "$KEXECFS" ] || skip_all "$KEXECFS is not built"
[ -c /dev/fuse ] || skip_all "this machine has no /dev/fuse"
# Scripts call need_root/need_user before `begin`, which everything else follows.

T='' M='' STATE='' CONFIG='' KEXEC_PID=''

begin() {
	T=$(mktemp -d "${TMPDIR:-/tmp}/kexec-test.XXXXXX") || exit 1
	M=$T/mnt STATE=$T/state CONFIG=$T/config/config.json
	mkdir "$M" "$T/config" "$T/home" "$T/in"
	export HOME=$T/home XDG_CONFIG_HOME=$T/config XDG_STATE_HOME=$T/xdg
	# Every process of the daemon inherits these, also the server that the keeper starts: each report is a file.
	# LeakSanitizer traces its own process, which the daemon (not dumpable) allows to root only.
	local leaks=0
	[ "$(id -u)" = 0 ] && leaks=1
	export ASAN_OPTIONS="detect_leaks=$leaks:log_path=$T/sanitizer:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1"
	export UBSAN_OPTIONS="log_path=$T/sanitizer:print_stacktrace=1:halt_on_error=0"
	export TSAN_OPTIONS="log_path=$T/sanitizer:halt_on_error=0:second_deadlock_stack=1:die_after_fork=0"
	config '{}'
	trap finish EXIT
	trap 'echo "# time limit reached or interrupted"; CASE_BAD=1; exit 1' TERM INT HUP
}

# Write the configuration: the defaults of the tests with the members of $1 on top.
config() {
	"$PY" - "$CONFIG" "$PY" "$1" <<-'PY'
	import json, os, sys
	conf = {"python": sys.argv[2], "alerts": {"desktop": False}}
	conf.update(json.loads(sys.argv[3]))
	fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
	os.write(fd, json.dumps(conf, indent=1).encode())
	PY
}

# Jobs that still run end with the script, and their supervisors with the namespace: nobody would be left to remove
# the control groups, whose names end in the device and inode of the attempt's folder.
end_groups() {
	local found groups group
	groups=$(find /sys/fs/cgroup -maxdepth 8 -type d -name 'kexec-job-*' 2>/dev/null)
	[ -n "$groups" ] || return 0
	found=$(find "$T" -xdev -type d -path '*/attempts/*' -prune -exec stat -c '%d %i' {} + 2>/dev/null |
		while read -r device inode; do printf -- '-%x-%x\n' "$device" "$inode"; done)
	for group in $groups; do
		grep -qxF -- "-$(cut -d- -f4- <<<"${group##*/}")" <<<"$found" || continue
		echo 1 2>/dev/null >"$group/cgroup.kill"
		wait_for rmdir "$group" 2>/dev/null
	done
}

BAD_WORDS='panic|Assertion .* failed|AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|double free|corrupted'

scan_logs() {
	local f found=0
	for f in "$T"/daemon.out "$T"/sanitizer.* "$STATE"/log "$STATE"/log.*; do
		[ -f "$f" ] || continue
		if grep -qE "$BAD_WORDS" "$f"; then
			echo "# suspicious words in ${f#"$T"/}:"
			grep -nE -A25 "$BAD_WORDS" "$f" | head -60 | sed 's/^/# /'
			found=1
		fi
	done
	return $found
}

show_logs() {
	local f
	for f in "$T"/daemon.out "$STATE"/log; do
		[ -s "$f" ] || continue
		echo "# ---- ${f#"$T"/} (the end of it)"
		tail -n 40 "$f" | cut -c1-600 | sed 's/^/# /'
	done
}

unmount_hard() {
	grep -q " $M " /proc/self/mountinfo || return 0
	fusermount3 -uz "$M" 2>/dev/null || umount -l "$M" 2>/dev/null
}

finish() {
	local rc=$?
	trap - EXIT
	trap '' TERM INT HUP
	cd / || true
	[ -n "$CASE" ] && [ $rc -ne 0 ] && [ $rc -ne 77 ] && CASE_BAD=1
	close_case
	[ -n "$KEXEC_PID" ] && stop_kexec quietly
	unmount_hard
	if ! scan_logs; then
		CASE_NO=$((CASE_NO + 1)) FAILURES=$((FAILURES + 1))
		echo "not ok $CASE_NO - logs without panics, failed assertions or sanitizer reports"
	fi
	[ $rc -ne 0 ] && [ $rc -ne 77 ] && FAILURES=$((FAILURES + 1))
	[ $FAILURES -gt 0 ] && show_logs
	end_groups
	if [ -n "${KEXEC_TEST_KEEP:-}" ]; then
		echo "# kept: $T"
	else
		chmod -R u+rwX "$T" 2>/dev/null
		rm -rf --one-file-system "$T"
	fi
	[ $rc -eq 77 ] && exit 77
	echo "1..$CASE_NO"
	[ $FAILURES -eq 0 ] && exit 0
	exit 1
}

# ---- Cases and assertions ----

CASE='' CASE_BAD=0 CASE_NO=0 FAILURES=0

close_case() {
	[ -n "$CASE" ] || return 0
	CASE_NO=$((CASE_NO + 1))
	if [ "$CASE_BAD" = 0 ]; then
		echo "ok $CASE_NO - $CASE"
	else
		echo "not ok $CASE_NO - $CASE"
		FAILURES=$((FAILURES + 1))
	fi
	CASE='' CASE_BAD=0
}

t() { close_case; CASE=$1 CASE_BAD=0; }

# Close the open case as skipped.
skip() {
	CASE_NO=$((CASE_NO + 1))
	echo "ok $CASE_NO - $CASE # SKIP $*"
	CASE='' CASE_BAD=0
}

complain() {
	local i line=0 text
	CASE_BAD=1
	# The line of the script itself, however deep in helpers this was called.
	for ((i = 0; i < ${#BASH_LINENO[@]}; i++)); do
		[ "${BASH_SOURCE[$((i + 1))]:-}" = "$0" ] && line=${BASH_LINENO[$i]} && break
	done
	text="line $line: $*"
	sed 's/^/# /' <<<"${text:0:3000}"
}
die() { complain "$*"; exit 1; }

ok() {
	local out
	out=$("$@" 2>&1) || complain "failed ($?): $*: $out"
}
notok() { ! "$@" >/dev/null 2>&1 || complain "should have failed: $*"; }
assert_eq() { [ "$1" = "$2" ] || complain "${3:-values differ}: got '$1', expected '$2'"; }
assert_match() { grep -qE -- "$2" <<<"$1" || complain "${3:-no match}: got '$1', expected /$2/"; }
assert_no_match() { ! grep -qE -- "$2" <<<"$1" || complain "${3:-unwanted match}: '$1' matches /$2/"; }
assert_exists() { [ -e "$1" ] || [ -L "$1" ] || complain "absent: ${1#"$T"/}"; }
assert_absent() { ! [ -e "$1" ] && ! [ -L "$1" ] || complain "should not be there: ${1#"$T"/}"; }
assert_same_tree() {
	local out
	out=$(diff -r --no-dereference "$1" "$2" 2>&1) || complain "trees differ: $(head -n 20 <<<"$out")"
	out=$(diff <(modes_of "$1") <(modes_of "$2")) || complain "modes differ: $out"
}
modes_of() { (cd "$1" && find . -mindepth 1 \( -type f -o -type d \) -printf '%m %P\n' | sort -k2); }

errno_text() {
	"$PY" -c 'import errno, os, sys; print(os.strerror(getattr(errno, sys.argv[1])))' "$1"
}
# assert_errno NAME CMD…: the command fails and says that error.
assert_errno() {
	local name=$1 out text
	shift
	text=$(errno_text "$name")
	if out=$("$@" 2>&1); then
		complain "expected $name, but it succeeded: $*"
	else
		grep -qF -- "$text" <<<"$out" || complain "expected $name ($text) from $*: $out"
	fi
}
# assert_call NAME|OK 'python statement using a[0], a[1] …' [ARG…]: the exact errno of one system call.
assert_call() {
	local want=$1 code=$2 got
	shift 2
	got=$(timeout 30 "$PY" -c '
import errno, os, socket, stat, sys
a = sys.argv[2:]
try:
    exec(sys.argv[1])
    print("OK")
except OSError as e:
    print(errno.errorcode.get(e.errno, e.errno))
' "$code" "$@" 2>&1)
	[ "$got" = "$want" ] || complain "$code ($*): got $got, expected $want"
}
# json FILE EXPR: a Python expression over j, the parsed document. Texts print bare, None as empty.
json() {
	"$PY" -c '
import json, sys
j = json.load(open(sys.argv[1]))
v = eval(sys.argv[2])
print("" if v is None else v if isinstance(v, str) else json.dumps(v))
' "$1" "$2"
}

# wait_for [-n SECONDS] CMD…: poll until it succeeds; default 20 s.
wait_for() {
	local limit=20 end
	if [ "$1" = -n ]; then
		limit=$2
		shift 2
	fi
	limit=$((limit * ${KEXEC_TEST_SLOWER:-1}))
	end=$(($(date +%s%N) + limit * 1000000000))
	until "$@" >/dev/null 2>&1; do
		if [ "$(date +%s%N)" -gt $end ]; then
			complain "not within $limit s: $*"
			return 1
		fi
		sleep 0.05
	done
}
# A pause that is itself the subject of a test (a slow writer), never a way to wait for something.
pause() { sleep "$1"; }
millis() { echo $(($(date +%s%N) / 1000000)); }

# ---- The daemon ----

# Read, not stat: a name may be cached longer than a mount lives.
mounted() { head -c 1 "$M/README" >/dev/null 2>&1; }

start_kexec() {
	mkdir -p "$M"
	"$KEXECFS" --state "$STATE" --config "$CONFIG" -f "$@" "$M" >>"$T/daemon.out" 2>&1 </dev/null &
	KEXEC_PID=$!
	until_mounted || die "the daemon did not mount"
}
until_mounted() {
	local i
	for ((i = 0; i < 400 * ${KEXEC_TEST_SLOWER:-1}; i++)); do
		mounted && return 0
		kill -0 "$KEXEC_PID" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}
gone() { ! kill -0 "$1" 2>/dev/null; }

# SIGTERM and wait for a clean end. `quietly` (clean-up): whatever happens, it is gone afterwards.
stop_kexec() {
	local pid=$KEXEC_PID i rc
	KEXEC_PID=
	[ -n "$pid" ] || return 0
	kill -TERM "$pid" 2>/dev/null
	for ((i = 0; i < 300 * ${KEXEC_TEST_SLOWER:-1}; i++)); do
		gone "$pid" && break
		sleep 0.05
	done
	if ! gone "$pid"; then
		[ "${1:-}" = quietly ] && echo "# the daemon did not stop within 15 s" ||
			complain "the daemon did not stop within 15 s"
		kill_tree "$pid"
	fi
	wait "$pid" 2>/dev/null
	rc=$?
	unmount_hard
	[ "${1:-}" = quietly ] || assert_eq "$rc" 0 "exit status of the daemon"
}

children_of() {
	local f pid
	for f in /proc/[0-9]*/stat; do
		pid=${f#/proc/}
		pid=${pid%/stat}
		# The name in field 2 may hold spaces and parentheses: read what follows the last ')'.
		[ "$(sed -E 's/.*\) . ([0-9]+) .*/\1/' "$f" 2>/dev/null)" = "$1" ] && echo "$pid"
	done
}
# Gone, or a zombie that nobody has waited for yet.
dead() { ! grep -qv '^Z' <(sed -E 's/.*\) (.).*/\1/' "/proc/$1/stat" 2>/dev/null); }
kill_tree() {
	local child kids
	kids=$(children_of "$1")
	kill -KILL "$1" 2>/dev/null
	for child in $kids; do kill_tree "$child"; done
}
# The process that answers requests: the keeper's child whose command line says so.
server_pid() {
	local pid
	for pid in $(children_of "$KEXEC_PID"); do
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qE -- '--server( |$)' && echo "$pid" && return
	done
	return 1
}
# SIGKILL the server and wait until another one has taken its place.
kill_server() {
	local old new i
	old=$(server_pid) || die "no server process found below the keeper $KEXEC_PID"
	kill -KILL "$old"
	for ((i = 0; i < 400; i++)); do
		new=$(server_pid) && [ "$new" != "$old" ] && return 0
		sleep 0.02
	done
	die "no new server after $old was killed"
}
# SIGKILL everything of the daemon at once: keeper, server, notifier. Jobs' supervisors are let live.
kill_daemon() {
	local pid=$KEXEC_PID kids
	KEXEC_PID=
	kids=$(children_of "$pid")
	# At once: a server that sees its keeper gone makes a new one.
	# shellcheck disable=SC2086  # a list of numbers
	kill -STOP $kids 2>/dev/null
	# shellcheck disable=SC2086
	kill -KILL "$pid" $kids 2>/dev/null
	wait "$pid" 2>/dev/null
	for pid in $kids; do wait_for dead "$pid"; done
	unmount_hard
}

# ---- Submitting and watching ----

# submit_script NAME 'python code' ['kexec.json text']: submitted at once, by rename from a dot-name.
submit_script() {
	mkdir "$M/queue/.$1" || return 1
	printf '%s\n' "$2" >"$M/queue/.$1/main.py"
	[ -z "${3:-}" ] || printf '%s\n' "$3" >"$M/queue/.$1/kexec.json"
	mv "$M/queue/.$1" "$M/queue/$1" || return 1
	wait_for not_draft "$(basename "$(readlink "$M/latest/$1")")"
}
not_draft() { ! is_state "$1" draft; }
state_of() { cut -d' ' -f1 "$M/runs/$1/status"; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }
is_final() { [[ $(state_of "$1") =~ ^(complete|rejected|failed|cancelled|skipped)$ ]]; }
# Blocks on `wait` and gives the state at the end.
final_state() {
	timeout $((${2:-60} * ${KEXEC_TEST_SLOWER:-1})) cat "$M/runs/$1/wait" | cut -d' ' -f1
}
assert_final() { assert_eq "$(final_state "$1")" "$2" "final state of $1 ($(cat "$M/runs/$1/status" 2>&1))"; }
runs_named() { (cd "$M/runs" && ls -d "$1" "$1"-[0-9]* 2>/dev/null | wc -l); }
log_has() { grep -qE -- "$2" "$M/runs/$1/log"; }

# A folder with a runnable script, a helper, a nested folder, an odd mode and awkward names.
make_notebook_folder() {
	mkdir -p "$1/data/deep"
	printf 'import helper\nprint("sum", helper.total(open("data/numbers.txt")))\nprint("metric total=10")\n' >"$1/main.py"
	printf 'def total(f):\n    return sum(int(l) for l in f)\n' >"$1/helper.py"
	printf '1\n2\n3\n4\n' >"$1/data/numbers.txt"
	printf 'x' >"$1/data/deep/with space and 日本語.txt"
	: >"$1/data/empty"
	head -c 300000 /dev/urandom >"$1/data/blob.bin"
	printf '#!/bin/sh\n' >"$1/tool.sh"
	chmod 0755 "$1/tool.sh"
	chmod 0600 "$1/data/numbers.txt"
	chmod 0750 "$1/data/deep"
}

# ---- Another time ----

# Use the kexecfs whose wall clock `jump` turns (clock_jump.c), for all of its processes. After `begin`.
use_turned_clock() {
	local turned
	turned=$(dirname "$KEXECFS")/tests/kexecfs-clock
	[ -x "$turned" ] || skip_all "$turned is not built"
	mkdir "$T/turned"
	cp "$turned" "$T/turned/kexecfs"
	printf '\0\0\0\0\0\0\0\0' >"$T/turned/clock"
	KEXECFS=$T/turned/kexecfs
}
# jump SECONDS: the daemon's wall clock is that much before (or behind) the right one from now on.
jump() {
	"$PY" -c 'import mmap, struct, sys
f = open(sys.argv[1], "r+b")
mmap.mmap(f.fileno(), 8)[:] = struct.pack("=q", int(sys.argv[2]))' "$T/turned/clock" "$1"
}
# Another boot, for everything that is started from now on in the script's namespaces.
reboot_machine() {
	[ -n "${KEXEC_TEST_PRIVATE:-}" ] || return 1
	cat /proc/sys/kernel/random/uuid >"$T/boot_id"
	grep -q ' /proc/sys/kernel/random/boot_id ' /proc/self/mountinfo && return 0
	mount --bind "$T/boot_id" /proc/sys/kernel/random/boot_id
}
