#!/bin/bash
# Removing, bringing back, renaming and deleting runs; what of it an active run refuses.
# tags: quick asan tsan
. "$(dirname "$0")/lib.sh"
begin
start_kexec
for r in a b c d; do submit_script $r "print('$r')"; done
for r in a b c d; do assert_eq "$(final_state $r)" complete "$r"; done
submit_script busy 'import time; print("up", flush=True); time.sleep(600)'
wait_for is_state busy running

t "rmdir moves an ended run to removed/"
ok rmdir "$M/runs/a"
assert_absent "$M/runs/a"
assert_exists "$M/removed/a/log"
assert_eq "$(cat "$M/removed/a/log")" a
assert_absent "$M/status/a"

t "mv brings it back"
ok mv "$M/removed/a" "$M/runs/"
assert_eq "$(cat "$M/runs/a/log")" a
assert_absent "$M/removed/a"
assert_exists "$M/status/a"

t "and again, with all it had"
ok rmdir "$M/runs/a"
ok mv "$M/removed/a" "$M/runs/a"
assert_exists "$M/runs/a/results"
assert_eq "$(state_of a)" complete

t "rm -rf works as well: the run is in removed/, whole"
ok rm -rf "$M/runs/b"
assert_absent "$M/runs/b"
assert_eq "$(cat "$M/removed/b/log")" b
assert_exists "$M/removed/b/source/main.py"

t "inside an ended run unlink has no effect"
ok rm "$M/runs/c/log"
assert_eq "$(cat "$M/runs/c/log")" c
ok rm -r "$M/runs/c/source"
assert_exists "$M/runs/c/source/main.py"
assert_match "$(cat "$M/runs/c/ctl")" 'whole'

t "a taken name in removed/ gets -2"
ok submit_script b 'print("new b")'
assert_final b complete
ok rmdir "$M/runs/b"
assert_exists "$M/removed/b-2"
assert_eq "$(cat "$M/removed/b-2/log")" "new b"

t "rm -rf in removed/ deletes for good"
ok rm -rf "$M/removed/b-2"
assert_absent "$M/removed/b-2"
no_trace() { ! grep -rq 'new b' "$STATE/runs"; }
wait_for no_trace

t "an active run is refused and stays whole"
assert_call EBUSY 'os.rmdir(a[0])' "$M/runs/busy"
assert_call EBUSY 'os.unlink(a[0])' "$M/runs/busy/log"
assert_call EBUSY 'os.rename(a[0], a[1])' "$M/runs/busy" "$M/runs/other"
notok rm -rf "$M/runs/busy"
assert_exists "$M/runs/busy/log"
assert_eq "$(state_of busy)" running

t "a draft is removed through queue/, not through runs/"
mkdir "$M/queue/draft"
assert_call EBUSY 'os.rmdir(a[0])' "$M/runs/draft"
ok rmdir "$M/queue/draft"

t "mv renames an ended run"
ok mv "$M/runs/c" "$M/runs/better name"
assert_absent "$M/runs/c"
assert_eq "$(cat "$M/runs/better name/log")" c
assert_exists "$M/status/better name"
wait_for grep -q 'better name' "$M/runs.csv"
assert_eq "$(json "$M/runs/better name/state.json" 'j["name"]')" "better name"

t "to a taken name: refused"
assert_call EEXIST 'import ctypes; l = ctypes.CDLL(None, use_errno=True)
r = l.renameat2(-100, a[0].encode(), -100, a[1].encode(), 1)
if r: raise OSError(ctypes.get_errno(), "x")' "$M/runs/better name" "$M/runs/d"
assert_eq "$(cat "$M/runs/d/log")" d

t "other renames between the top folders: EPERM, never EXDEV"
assert_call EPERM 'os.rename(a[0], a[1])' "$M/runs/d" "$M/queue/d"
assert_call EPERM 'os.rename(a[0], a[1])' "$M/runs/d" "$M/removed/d"
# The kernel itself refuses a user to write into a 0555 folder, before kexecfs is asked.
closed=EPERM
[ "$(id -u)" = 0 ] || closed=EACCES
assert_call $closed 'os.rename(a[0], a[1])' "$M/runs/d" "$M/d"
assert_call $closed 'os.rename(a[0], a[1])' "$M/runs/d" "$M/status/other"
mkdir "$M/queue/.q"
assert_call EPERM 'os.rename(a[0], a[1])' "$M/queue/.q" "$M/runs/q"
rmdir "$M/queue/.q"
assert_exists "$M/runs/d/log"

t "nothing can be made inside runs/ or a run"
notok mkdir "$M/runs/new"
notok touch "$M/runs/d/new"
notok mkdir "$M/runs/d/new"
notok touch "$M/removed/x"

t "names for renamed runs follow the rules of the door"
assert_call EINVAL 'os.rename(a[0], a[1])' "$M/runs/d" "$M/runs/-d"
assert_call EILSEQ 'os.rename(a[0].encode(), a[0].encode() + b"\xff")' "$M/runs/d"

t "an open file of a removed run can be read on"
exec 7<"$M/runs/d/log"
ok rmdir "$M/runs/d"
assert_eq "$(cat <&7)" d
exec 7<&-

t "modes: runs/, removed/ and the folders below a run are 0755"
for p in runs removed runs/a runs/a/attempts; do assert_eq "$(stat -c %a "$M/$p")" 755 "$p"; done

t "all of it is there after a restart"
ls "$M/runs" "$M/removed" >"$T/before"
stop_kexec
start_kexec
ls "$M/runs" "$M/removed" >"$T/after"
ok diff "$T/before" "$T/after"
