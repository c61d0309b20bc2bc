#!/bin/bash
# ctl: words, errnos answered at write(2), the sentence on the first line, wrong calls on every node.
# tags: quick asan
. "$(dirname "$0")/lib.sh"
begin
start_kexec
submit_script done 'print(1)'
submit_script slow 'import time; time.sleep(600)'
assert_eq "$(final_state done)" complete
wait_for is_state slow running
w='f = os.open(a[0], os.O_WRONLY); os.write(f, a[1].encode())'

t "an unknown verb is EINVAL at write, in shells too"
assert_call EINVAL "$w" "$M/runs/done/ctl" "bogus"
assert_errno EINVAL bash -c "echo bogus > '$M/runs/done/ctl'"
assert_match "$(head -n 1 "$M/runs/done/ctl")" 'bogus'

t "a verb that is not valid in this state is EBUSY"
assert_call EBUSY "$w" "$M/runs/done/ctl" "cancel"
assert_call EBUSY "$w" "$M/runs/slow/ctl" "retry"
assert_call EBUSY "$w" "$M/runs/slow/ctl" "confirm"

t "reading ctl lists the words that are valid now, with help"
assert_match "$(cat "$M/runs/slow/ctl")" '^cancel[[:space:]]'
assert_no_match "$(cat "$M/runs/slow/ctl")" '^retry[[:space:]]'
assert_no_match "$(sed 1d "$M/runs/done/ctl")" '^cancel[[:space:]]' # the first line is the refusal

t "odd writes: empty, spaces, several words, NUL, huge, not UTF-8, several lines"
assert_call OK 'f = os.open(a[0], os.O_WRONLY); os.write(f, b"")' "$M/runs/done/ctl"
assert_call EINVAL 'f = os.open(a[0], os.O_WRONLY); os.write(f, b"cancel\0retry")' "$M/runs/done/ctl"
assert_call EINVAL 'f = os.open(a[0], os.O_WRONLY); os.write(f, b"\xff\xfe")' "$M/runs/done/ctl"
assert_call EINVAL 'f = os.open(a[0], os.O_WRONLY); os.write(f, b"cancel now please")' "$M/runs/slow/ctl"
"$PY" -c 'import os, sys
f = os.open(sys.argv[1], os.O_WRONLY)
try:
    os.write(f, b"x" * 100000); print("taken")
except OSError as e: print("refused")' "$M/runs/done/ctl" >"$T/out"
assert_eq "$(cat "$T/out")" refused
assert_eq "$(state_of slow)" running

t "O_TRUNC, O_APPEND and pwrite at an offset do what echo does"
assert_call EINVAL 'f = os.open(a[0], os.O_WRONLY | os.O_TRUNC); os.write(f, b"bogus")' "$M/runs/done/ctl"
assert_call EINVAL 'f = os.open(a[0], os.O_WRONLY | os.O_APPEND); os.write(f, b"bogus")' "$M/runs/done/ctl"

t "the daemon's own ctl lists its words and refuses others"
[ -s "$M/ctl" ] || complain "ctl is empty"
assert_call EINVAL "$w" "$M/ctl" "bogus"

t "read-only files refuse writing, files are not folders and the reverse"
for f in README index.html runs.csv runs/done/status runs/done/state.json runs/done/events runs/done/log; do
	assert_match "$("$PY" -c '
import errno, os, sys
try:
    os.open(sys.argv[1], os.O_WRONLY); print("opened")
except OSError as e: print(errno.errorcode[e.errno])' "$M/$f")" '^(EACCES|EPERM|EROFS)$' "$f"
done
assert_call ENOTDIR 'os.listdir(a[0])' "$M/README"
assert_call ENOTDIR 'os.stat(a[0] + "/x")' "$M/README"
assert_call EISDIR 'os.open(a[0], os.O_WRONLY)' "$M/runs"
assert_call ENOENT 'os.stat(a[0])' "$M/nothing"
assert_call ENOENT 'os.stat(a[0])' "$M/runs/nobody/status"
assert_call ENOENT 'os.stat(a[0])' "$M/runs/done/attempts/2"
assert_call ENOENT 'os.stat(a[0])' "$M/runs/done/attempts/01"
assert_call ENOENT 'os.stat(a[0])' "$M/runs/slow/results"
assert_call ENOENT 'os.stat(a[0])' "$M/latest/none"

t "seeking, short reads and pread past the end are those of a file"
assert_call OK 'f = os.open(a[0], os.O_RDONLY); n = os.fstat(f).st_size
assert os.pread(f, 10, n) == b""; assert len(os.pread(f, 1 << 20, 0)) == n; assert os.pread(f, 1, 0) == os.read(f, 1)' "$M/runs/done/state.json"
assert_call OK 'import mmap; f = os.open(a[0], os.O_RDONLY); m = mmap.mmap(f, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ); assert m[:1] == b"{"' "$M/runs/done/state.json"

t "cancel works at last"
ok bash -c "echo cancel > '$M/runs/slow/ctl'"
assert_final slow cancelled
