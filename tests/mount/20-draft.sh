#!/bin/bash
# Drafts: a run from the first mkdir, names, what queue/ takes and what it refuses.
# tags: quick asan tsan
. "$(dirname "$0")/lib.sh"
begin
start_kexec
q=$M/queue

t "the run exists before mkdir returns"
got=$("$PY" -c '
import os, sys
m = sys.argv[1]
os.mkdir(m + "/queue/first")
print(open(m + "/runs/first/status").read().split()[0], os.readlink(m + "/latest/first"))' "$M")
assert_eq "$got" "draft ../runs/first"

t "a draft's status is one line with the fixed fields"
assert_match "$(cat "$M/runs/first/status")" '^draft - [a-z-]+ [-0-9:]+ .*\(at [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\)$'
assert_eq "$(wc -l <"$M/runs/first/status")" 1
assert_eq "$(json "$M/runs/first/state.json" 'j["state"]')" draft
assert_eq "$(json "$M/runs/first/state.json" 'j.get("status")')" ""

t "an empty folder stays a draft and wait says so instead of blocking for ever"
assert_eq "$(final_state first 40)" draft
assert_exists "$q/first"

t "the run's name follows the folder's"
ok mv "$q/first" "$q/second"
assert_absent "$M/runs/first"
assert_eq "$(state_of second)" draft
assert_eq "$(readlink -f "$M/latest/second")" "$M/runs/second"

t "a taken name gets -2, -3"
ok submit_script taken 'print(1)'
assert_final taken complete
ok mkdir "$q/taken"
assert_eq "$(state_of taken-2)" draft
assert_eq "$(readlink "$M/latest/taken")" ../runs/taken-2

t "removing a draft drops it"
ok rm -r "$q/taken"
assert_absent "$M/runs/taken-2"
assert_eq "$(readlink "$M/latest/taken")" ../runs/taken

t "the word drop throws a draft away, with what is in it"
ok mkdir "$q/thrown"
echo 1 >"$q/thrown/file"
assert_match "$(cat "$M/latest/thrown/ctl")" '^drop '
ok bash -c "echo drop >'$M/runs/thrown/ctl'"
assert_absent "$M/runs/thrown"
assert_absent "$q/thrown"

t "a dot-named folder has no run until renamed"
ok mkdir "$q/.stage"
assert_eq "$(ls "$M/runs" | grep -c stage)" 0
ok rmdir "$q/.stage"

t "what is not a folder is not taken"
assert_call EPERM 'open(a[0], "w")' "$q/file"
assert_call EPERM 'os.symlink("x", a[0])' "$q/link"
assert_call EPERM 'os.mkfifo(a[0])' "$q/fifo"

ok mkdir "$q/d" "$q/e"
t "device nodes, sockets and FIFOs are not taken inside a folder either"
assert_call EPERM 'os.mkfifo(a[0])' "$q/d/fifo"
assert_call EPERM 's = socket.socket(socket.AF_UNIX); os.chdir(a[0]); s.bind("s")' "$q/d"
[ "$(id -u)" != 0 ] || assert_call EPERM 'os.mknod(a[0], stat.S_IFCHR | 0o600, os.makedev(1, 3))' "$q/d/null"

t "hard links: not across folders"
echo x >"$q/d/a"
assert_call EXDEV 'os.link(a[0], a[1])' "$q/d/a" "$q/e/a"

t "names: UTF-8, no control characters, no leading dash, 255 bytes"
assert_call EILSEQ 'os.mkdir(a[0].encode() + b"/bad\xff")' "$q"
assert_call EINVAL 'os.mkdir(a[0] + "/a\nb")' "$q"
assert_call EINVAL 'os.mkdir(a[0] + "/a\x1b[31m")' "$q"
assert_call EINVAL 'os.mkdir(a[0] + "/-rf")' "$q"
assert_call ENAMETOOLONG 'os.mkdir(a[0] + "/" + "n" * 256)' "$q"
assert_call EINVAL 'os.rename(a[0] + "/e", a[0] + "/-e")' "$q"
assert_call EILSEQ 'os.rename(a[0].encode() + b"/e", a[0].encode() + b"/\xfe")' "$q"
assert_call EEXIST 'os.mkdir(a[0])' "$q/d"

t "any language, spaces, quotes and 255 bytes are kept"
for name in '予測モデル 第2版' "it's \"quoted\" & <b>" "$(printf 'n%.0s' $(seq 255))" 'été' '*?[' '100%'; do
	ok mkdir "$q/$name"
	assert_eq "$(state_of "$name")" draft "$name"
	assert_eq "$(readlink "$M/latest/$name")" "../runs/$name"
	ok rmdir "$q/$name"
	assert_absent "$M/runs/$name"
done

t "a name too long for -2 is shortened at a character"
long=$(printf '語%.0s' $(seq 85))
ok mkdir "$q/$long"
echo 'print(1)' >"$q/$long/main.py"
ok touch "$q/$long/.submit"
wait_for is_final "$long"
ok mkdir "$q/$long"
second=$(basename "$(readlink "$M/latest/$long")")
assert_match "$second" '^語+-2$'
[ "${#second}" -ge 80 ] || complain "shortened too much: $second"
ok rmdir "$q/$long"

t "a draft is an ordinary folder: what was written is read back"
make_notebook_folder "$T/in/plain"
rm "$T/in/plain/main.py"
mv "$T/in/plain/helper.py" "$T/in/plain/notes.txt" # a single .py would be runnable
ok cp -r "$T/in/plain" "$q/plain"
assert_same_tree "$T/in/plain" "$q/plain"
ok truncate -s 10 "$q/plain/notes.txt"
assert_eq "$(stat -c %s "$q/plain/notes.txt")" 10
ok sh -c "echo appended >> '$q/plain/notes.txt'"
assert_eq "$(tail -c 9 "$q/plain/notes.txt")" appended
ok ln -s notes.txt "$q/plain/link"
assert_eq "$(readlink "$q/plain/link")" notes.txt
ok touch -d 2001-02-03T04:05:06Z "$q/plain/notes.txt"
assert_eq "$(stat -c %Y "$q/plain/notes.txt")" 981173106
assert_call ENOTEMPTY 'os.rmdir(a[0])' "$q/plain"
assert_call EEXIST 'os.open(a[0], os.O_CREAT | os.O_EXCL)' "$q/plain/notes.txt"
assert_call OK 'f = os.open(a[0], os.O_RDWR); os.unlink(a[0]); os.write(f, b"still"); os.lseek(f, 0, 0); assert os.read(f, 5) == b"still"' "$q/plain/data/empty"
assert_call OK 'f = open(a[0], "w"); f.write("x"); f.flush(); os.fsync(f.fileno()); d = os.open(a[1], os.O_RDONLY); os.fsync(d)' "$q/plain/synced" "$q/plain"

t "explicit submission of something not runnable is rejected and loses nothing"
ok touch "$q/plain/.submit"
wait_for is_state plain rejected
assert_match "$(cat "$M/runs/plain/validation.txt")" '.'
assert_exists "$M/runs/plain/source/data/blob.bin"
assert_absent "$M/runs/plain/source/.submit"
assert_absent "$q/plain"

t "queue/ and latest/ list what is there"
assert_match "$(ls "$q")" '^d$'
assert_match "$(ls "$M/latest")" '^plain$'
