#!/bin/bash
# The door: folders whose copy did not end well are never submitted by themselves.
# limit: 300
. "$(dirname "$0")/lib.sh"
begin
start_kexec
q=$M/queue
make_notebook_folder "$T/in/nb"
head -c 40000000 /dev/zero >"$T/in/nb/zz-big.bin"

t "cp killed by SIGKILL inside a file: stays a draft, and its status says so"
mkdir "$q/killed"
cp -p "$T/in/nb/main.py" "$T/in/nb/helper.py" "$q/killed/"
# A writer that is in the middle of a file for certain: it waits with the file open and half written.
"$PY" -c '
import sys, time
f = open(sys.argv[1], "wb", buffering=0)
f.write(b"x" * 100000)
print("half", flush=True)
time.sleep(600)' "$q/killed/data.bin" >"$T/half" &
writer=$!
wait_for grep -q half "$T/half"
kill -KILL $writer
wait $writer 2>/dev/null
assert_eq "$(final_state killed 40)" draft
assert_match "$(cat "$M/runs/killed/status")" 'killed|signal|died'
assert_exists "$q/killed/data.bin"

t "it is still one after more than the settle time"
pause 6
assert_eq "$(state_of killed)" draft

t ".submit heals it"
ok touch "$q/killed/.submit"
wait_for -n 30 is_final killed
assert_eq "$(stat -c %s "$M/runs/killed/source/data.bin")" 100000

t "a further change heals it as well"
mkdir "$q/again"
echo 'print(1)' >"$q/again/main.py"
"$PY" -c '
import sys, time
f = open(sys.argv[1], "wb", buffering=0)
f.write(b"x")
print("half", flush=True)
time.sleep(600)' "$q/again/data.bin" >"$T/half2" &
writer=$!
wait_for grep -q half "$T/half2"
kill -KILL $writer
wait $writer 2>/dev/null
assert_eq "$(final_state again 40)" draft
ok cp "$T/in/nb/helper.py" "$q/again/data.bin"
wait_for -n 30 is_final again
assert_eq "$(state_of again)" complete
ok cmp "$T/in/nb/helper.py" "$M/runs/again/source/data.bin"

t "a real cp -r killed at a random moment: never half a source"
for i in 1 2 3 4 5 6; do
	cp -r "$T/in/nb" "$q/rnd$i" &
	cp=$!
	pause "0.0$i"
	kill -KILL $cp 2>/dev/null
	wait $cp 2>/dev/null
done
for i in 1 2 3 4 5 6; do
	[ -e "$M/runs/rnd$i" ] || continue
	state=$(final_state "rnd$i" 60)
	# What Linux cannot show (killed between two files) may be submitted; a file must never be cut.
	if [ "$state" != draft ]; then
		while read -r f; do
			cmp -s "$T/in/nb/$f" "$M/runs/rnd$i/source/$f" || complain "rnd$i: $f is cut"
		done < <(cd "$M/runs/rnd$i/source" && find . -type f)
	fi
done

t "a copy that was refused (a FIFO in it) stays a draft, says so, and .submit heals it"
mkdir "$T/in/odd"
echo 'print("odd")' >"$T/in/odd/main.py"
mkfifo "$T/in/odd/pipe"
notok cp -r "$T/in/odd" "$q/odd"
assert_eq "$(final_state odd 40)" draft
assert_match "$(cat "$M/runs/odd/status")" 'refused'
ok touch "$q/odd/.submit"
wait_for -n 30 is_final odd
assert_eq "$(state_of odd)" complete

t "so does one that went on after the refusal, in any order of its files"
mkdir "$q/first"
notok "$PY" -c '
import os, sys
try:
    os.mkfifo(sys.argv[1] + "/pipe")
except PermissionError as e:
    refused = e
for name in ("main.py", "more.py"):
    with open(sys.argv[1] + "/" + name, "w") as f:
        f.write("print(1)\n")
sys.exit(str(refused))' "$q/first"
assert_eq "$(final_state first 40)" draft
assert_match "$(cat "$M/runs/first/status")" 'refused'

t "with \"submit\": \"explicit\" nothing goes by itself"
stop_kexec
config '{"submit": "explicit"}'
start_kexec
ok cp -r "$T/in/nb" "$q/explicit"
assert_eq "$(final_state explicit 40)" draft
pause 2
assert_eq "$(state_of explicit)" draft
ok bash -c "echo submit > '$M/latest/explicit/ctl'"
assert_final explicit complete
