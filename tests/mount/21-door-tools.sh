#!/bin/bash
# The door: every way of putting a folder there gives exactly one run whose source is what was copied.
# limit: 300
# tags: quick
. "$(dirname "$0")/lib.sh"
begin
start_kexec
q=$M/queue
make_notebook_folder "$T/in/nb"

# arrived NAME [ORIGINAL]: one run, complete, its source equal to the original in bytes and modes.
arrived() {
	wait_for -n 30 is_final "$1" || return
	assert_eq "$(state_of "$1")" complete "$(cat "$M/runs/$1/status")"
	assert_same_tree "${2:-$T/in/nb}" "$M/runs/$1/source"
	assert_eq "$(runs_named "$1")" 1 "runs named $1"
	assert_absent "$q/$1"
	assert_eq "$(ls "$M/runs/$1/attempts")" 1 "attempts"
}

left_queue() { [ ! -e "$q/$1" ]; }

t "cp -r"
ok cp -r "$T/in/nb" "$q/cp-r"
arrived cp-r

t "cp -r && cat latest/…/wait needs no sleep"
ok cp -r "$T/in/nb" "$q/cp-wait"
assert_match "$(timeout 60 cat "$M/latest/cp-wait/wait")" '^complete '

t "cp -a"
ok cp -a "$T/in/nb" "$q/cp-a"
arrived cp-a
assert_eq "$(stat -c %Y "$M/runs/cp-a/source/main.py")" "$(stat -c %Y "$T/in/nb/main.py")" "mtime kept"

t "rsync -a"
if command -v rsync >/dev/null; then
	ok rsync -a "$T/in/nb/" "$q/rsync/"
	arrived rsync
else
	skip "rsync is not installed"
fi

t "tar x"
tar cf "$T/nb.tar" -C "$T/in" --transform 's/^nb/tarred/' nb
ok tar xf "$T/nb.tar" -C "$q"
arrived tarred

t "mv from another file system"
cp -a "$T/in/nb" "$T/in/moved"
ok mv "$T/in/moved" "$q/moved"
assert_absent "$T/in/moved"
arrived moved

t "git clone"
if command -v git >/dev/null; then
	git init -q "$T/in/repo" && cp -r "$T/in/nb/." "$T/in/repo/"
	git -C "$T/in/repo" add -A && git -C "$T/in/repo" -c user.name=a -c user.email=a@b commit -qm x
	ok git clone -q "$T/in/repo" "$q/cloned"
	wait_for -n 30 is_final cloned
	assert_eq "$(state_of cloned)" complete "$(cat "$M/runs/cloned/status")"
	assert_eq "$(runs_named cloned)" 1
	ok diff -r -x .git "$T/in/repo" "$M/runs/cloned/source"
	assert_exists "$M/runs/cloned/source/.git/HEAD"
else
	skip "git is not installed"
fi

t "unzip"
if command -v unzip >/dev/null && command -v zip >/dev/null; then
	(cd "$T/in" && cp -a nb zipped && zip -qr "$T/nb.zip" zipped)
	ok unzip -q "$T/nb.zip" -d "$q"
	arrived zipped
else
	skip "zip and unzip are not installed"
fi

t "python shutil.copytree"
ok "$PY" -c 'import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])' "$T/in/nb" "$q/copytree"
arrived copytree

t "a process that lives on after writing (a file manager): settles, once"
"$PY" -c '
import shutil, sys
shutil.copytree(sys.argv[1], sys.argv[2])
sys.stdin.read()' "$T/in/nb" "$q/manager" < <(tail -f /dev/null --pid=$$) &
manager=$!
arrived manager
kill $manager

t "an editor: vim writes the entry file and lives on"
if command -v ex >/dev/null; then
	ok mkdir "$q/edited"
	ok ex -s -c 'normal iprint("from the editor")' -c 'wq' "$q/edited/main.py"
	wait_for -n 30 is_final edited
	assert_eq "$(state_of edited)" complete
	assert_eq "$(cat "$M/runs/edited/source/main.py")" 'print("from the editor")'
	assert_eq "$(ls -A "$M/runs/edited/source")" main.py "nothing but the file (no swap, no backup)"
else
	skip "no vi is installed"
fi

t "a loop of single cp calls with pauses shorter than the settle time"
mkdir "$q/loop"
for f in main.py helper.py tool.sh; do
	cp -p "$T/in/nb/$f" "$q/loop/$f"
	pause 0.6
done
cp -rp "$T/in/nb/data" "$q/loop/"
arrived loop

t "a shell that writes by itself, with longer pauses, and lives on"
mkdir "$q/shell"
echo 'import helper' >"$q/shell/main.py"
pause 2.5
echo 'VALUE = 1' >"$q/shell/helper.py"
pause 2.5
assert_eq "$(state_of shell)" draft
echo 'print("ready")' >>"$q/shell/main.py"
wait_for -n 30 is_final shell
assert_eq "$(state_of shell)" complete
assert_eq "$(cat "$M/runs/shell/source/main.py")" "$(printf 'import helper\nprint("ready")')"
assert_eq "$(runs_named shell)" 1

t ".submit submits at once and is no part of the source"
mkdir "$q/asked"
cp -rp "$T/in/nb/." "$q/asked/"
start=$(millis)
ok touch "$q/asked/.submit"
wait_for left_queue asked
[ $(($(millis) - start)) -lt 900 ] || complain "took $(($(millis) - start)) ms"
arrived asked
assert_absent "$M/runs/asked/source/.submit"

t "echo submit > latest/…/ctl"
mkdir "$q/word"
cp -rp "$T/in/nb/." "$q/word/"
start=$(millis)
ok bash -c "echo submit > '$M/latest/word/ctl'"
wait_for not_draft word
[ $(($(millis) - start)) -lt 900 ] || complain "took $(($(millis) - start)) ms"
arrived word

t "a rename from a dot-name submits at once"
ok cp -rp "$T/in/nb" "$q/.staged"
assert_absent "$M/runs/staged"
start=$(millis)
ok mv "$q/.staged" "$q/staged"
wait_for not_draft staged
[ $(($(millis) - start)) -lt 900 ] || complain "took $(($(millis) - start)) ms"
arrived staged

t "the same name again at once"
ok mv "$(cp -rp "$T/in/nb" "$q/.again" && echo "$q/.again")" "$q/staged"
assert_final staged-2 complete
assert_eq "$(readlink "$M/latest/staged")" ../runs/staged-2

t "a writer that still holds the folder gets EROFS after submission"
got=$("$PY" -c '
import errno, os, sys, time
m = sys.argv[1]
os.mkdir(m + "/queue/.held")
open(m + "/queue/.held/main.py", "w").write("print(1)\n")
d = os.open(m + "/queue/.held", os.O_RDONLY)
os.rename(m + "/queue/.held", m + "/queue/held")
end = time.monotonic() + 10
while open(m + "/runs/held/status").read().startswith("draft") and time.monotonic() < end:
    time.sleep(0.01)
try:
    os.open("late.txt", os.O_CREAT | os.O_WRONLY, dir_fd=d)
    print("written")
except OSError as e:
    print(errno.errorcode[e.errno])' "$M")
assert_eq "$got" EROFS

t "a folder that holds a copier's temporary name waits for it"
mkdir "$q/part"
cp -p "$T/in/nb/helper.py" "$q/part/.big.csv.part"
cp -p "$T/in/nb/tool.sh" "$q/part/main.py"
assert_eq "$(final_state part 40)" draft "wait at rest"
ok mv "$q/part/.big.csv.part" "$q/part/big.csv"
wait_for -n 30 is_final part
assert_exists "$M/runs/part/source/big.csv"

t "a file that kexec.json names must be there first"
mkdir "$q/named"
printf '{"main": "late.py"}' >"$q/named/kexec.json"
assert_eq "$(final_state named 40)" draft "wait at rest"
assert_match "$(cat "$M/runs/named/status")" 'late\.py'
echo 'print("late")' >"$q/named/late.py"
wait_for -n 30 is_final named
assert_eq "$(state_of named)" complete

t "two entry points: stays a draft and says so; naming one heals"
mkdir "$q/two"
echo 'print(1)' >"$q/two/a.py"
echo 'print(2)' >"$q/two/b.py"
assert_eq "$(final_state two 40)" draft
assert_match "$(cat "$M/runs/two/status")" 'a\.py|b\.py|main'
printf '{"main": "b.py"}' >"$q/two/kexec.json"
wait_for -n 30 is_final two
assert_eq "$(cat "$M/runs/two/log" | grep -c 2)" 1
