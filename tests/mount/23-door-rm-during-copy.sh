#!/bin/bash
# The door: folders that are removed, renamed or copied twice while they are being written.
. "$(dirname "$0")/lib.sh"
begin
start_kexec
q=$M/queue
make_notebook_folder "$T/in/nb"
mkdir "$T/in/many"
for i in $(seq 300); do echo "$i" >"$T/in/many/f$i.txt"; done
echo 'print("many")' >"$T/in/many/main.py"

t "rm -rf during cp -r: both end, no run is left, the name is free"
for round in 1 2 3; do
	cp -r "$T/in/many" "$q/gone" 2>/dev/null &
	cp=$!
	wait_for test -e "$q/gone/f100.txt"
	rm -rf "$q/gone" 2>/dev/null
	wait $cp
	rm -rf "$q/gone"
	assert_absent "$q/gone"
	assert_eq "$(runs_named gone)" 0 "round $round"
done

t "a rename during cp -r (cp holds paths): one draft a name, nothing submitted twice"
cp -r "$T/in/many" "$q/before" 2>/dev/null &
cp=$!
wait_for test -e "$q/before/f50.txt"
ok mv "$q/before" "$q/after"
wait $cp
assert_exists "$M/latest/after"
rm -rf "$q/before" "$q/after"
wait_for test ! -e "$q/after"

t "two copies into one name at once: one run, the union of both"
mkdir "$q/both"
cp -r "$T/in/nb/." "$q/both/" &
one=$!
cp -r "$T/in/nb/." "$q/both/" &
wait $one $!
wait_for -n 30 is_final both
assert_eq "$(state_of both)" complete
assert_eq "$(runs_named both)" 1
ok diff -r "$T/in/nb" "$M/runs/both/source"

t "ten copies of one folder under ten names at once: ten runs, all whole"
pids=
for i in $(seq 10); do
	cp -r "$T/in/nb" "$q/many$i" &
	pids="$pids $!"
done
# shellcheck disable=SC2086
wait $pids
for i in $(seq 10); do
	assert_eq "$(final_state "many$i" 90)" complete "many$i"
	ok diff -r "$T/in/nb" "$M/runs/many$i/source"
done

t "the same folder name copied five times, one after the other: five runs"
for i in 1 2 3 4 5; do
	cp -r "$T/in/nb" "$q/.s" && ok mv "$q/.s" "$q/serial"
done
for r in serial serial-2 serial-3 serial-4 serial-5; do assert_eq "$(final_state $r 90)" complete $r; done
assert_eq "$(readlink "$M/latest/serial")" ../runs/serial-5

t "rmdir of a draft that is not empty is refused, rm -r of its parts works"
ok cp -r "$T/in/nb" "$q/.parts"
assert_call ENOTEMPTY 'os.rmdir(a[0])' "$q/.parts"
ok rm -r "$q/.parts/data"
ok rm -r "$q/.parts"
assert_eq "$(ls -A "$q")" ""
