#!/bin/bash
# What the top of the mount holds, and that nothing which walks it hangs or changes anything.
# tags: quick asan tsan
. "$(dirname "$0")/lib.sh"
begin
start_kexec

t "the top holds what the README of the mount promises"
for name in README index.html runs.csv ctl log alerts queue latest status runs backends removed; do
	assert_exists "$M/$name"
done
for name in queue latest status runs backends removed; do
	[ -d "$M/$name" ] || complain "$name is no directory"
done

t "README fits a screen or two and names the door"
lines=$(wc -l <"$M/README")
[ "$lines" -ge 5 ] && [ "$lines" -le 60 ] || complain "README has $lines lines"
assert_match "$(cat "$M/README")" 'queue/'

t "an empty mount: runs.csv is its header, lists are empty"
assert_match "$(head -n 1 "$M/runs.csv")" '^name,kind,backend,state,metric,'
assert_eq "$(wc -l <"$M/runs.csv")" 1
for name in queue latest status runs removed; do assert_eq "$(ls -A "$M/$name")" "" "$name"; done
assert_exists "$M/backends/local/status"

t "the dashboard is one self-contained page"
page=$(cat "$M/index.html")
assert_match "$page" '<!doctype html>|<!DOCTYPE html>'
assert_no_match "$page" '(src|href)="?https?:'

t "df tells the disk of the state directory"
mine=$(stat -f -c '%b %S' "$M" | awk '{print $1*$2}')
theirs=$(stat -f -c '%b %S' "$STATE" | awk '{print $1*$2}')
assert_eq "$mine" "$theirs" "size of the file system"

t "df and mount show what this is"
assert_match "$(grep " $M " /proc/self/mountinfo)" 'fuse\.kexecfs kexec '

ok submit_script one 'print("hello"); print("metric a=1")'
assert_final one complete
mkdir "$M/queue/unfinished"

t "a second run in the tree, then: sizes are true for every listed file"
bad=$(cd "$M" && find . -type f -not -path './log' | while read -r f; do
	a=$(stat -c %s "$f") b=$(wc -c <"$f") c=$(stat -c %s "$f")
	[ "$a" = "$b" ] || [ "$b" = "$c" ] || echo "$f: stat $a, read $b"
done)
assert_eq "$bad" ""

t "ls -lR, grep -r, find and tar of the whole mount terminate without an error"
# It is renewed at most once a second, and what is compared must be the newest.
wait_for grep -q '^unfinished,' "$M/runs.csv"
before=$(cat "$M/runs.csv")
ok timeout 30 ls -lR "$M"
out=$(timeout 30 grep -r "no such text anywhere" "$M" 2>&1)
assert_eq "$?" 1 "grep -r (found nothing) $out"
ok timeout 30 find "$M" -ls
ok timeout 60 tar cf "$T/all.tar" -C "$M" --exclude=./log .
ok timeout 30 du -s "$M"
ok timeout 30 cp -r "$M/runs/one" "$T/elsewhere"

t "and change nothing"
assert_eq "$(cat "$M/runs.csv")" "$before"
assert_eq "$(state_of unfinished)" draft

t "wait can be opened by name and is not listed"
assert_no_match "$(ls "$M/runs/one")" '^wait$'
assert_match "$(timeout 10 cat "$M/runs/one/wait")" '^complete '

t "status/<run> and runs/<run>/status are one inode"
assert_eq "$(stat -c %i "$M/status/one")" "$(stat -c %i "$M/runs/one/status")"
assert_eq "$(cat "$M/status/one")" "$(cat "$M/runs/one/status")"

t "the top takes no new names"
notok mkdir "$M/anything"
notok touch "$M/file"
notok mkdir "$M/.Trash-0"
notok mv "$M/README" "$M/README2"

t "no extended attributes"
assert_call ENOTSUP 'os.getxattr(a[0], "user.x")' "$M/README"

t "doctor, tree, version and help answer and succeed"
ok "$KEXECFS" --version
ok "$KEXECFS" --help
assert_match "$("$KEXECFS" --tree)" 'queue'
assert_match "$("$KEXECFS" --tree)" 'metrics\.csv'
out=$("$KEXECFS" --doctor --state "$STATE" --config "$CONFIG" 2>&1)
[ -n "$out" ] || complain "doctor says nothing"
notok "$KEXECFS" --no-such-option

t "every name in the tree of README.md is one that the program knows"
unknown=$("$PY" - "$SOURCE_ROOT/README.md" <<PY
import re, sys
tree = """$("$KEXECFS" --tree)"""
for line in open(sys.argv[1], encoding="utf-8"):
    m = re.match(r"[│ ]*[├└]── (.*?)(?: {3,}\S.*)?$", line)
    if not m: continue
    for name in m.group(1).split():
        last = [p for p in name.split("/") if p and not p.startswith("<")]
        if last and last[-1] not in tree: print(name)
PY
)
assert_eq "$unknown" ""

t "the daemon ends cleanly on SIGTERM and the mount is gone"
stop_kexec
assert_eq "$(grep -c " $M " /proc/self/mountinfo)" 0
assert_eq "$(ls -A "$M")" ""
