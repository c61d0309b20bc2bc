#!/bin/bash
# Hundreds of drafts and runs: lists are complete and in order, names are found, the mount stays quick.
# limit: 240
. "$(dirname "$0")/lib.sh"
begin
config '{"submit": "explicit"}'
start_kexec
n=300

t "$n drafts by mkdir, each a run before mkdir returns"
out=$("$PY" -c '
import os, sys
m, n = sys.argv[1], int(sys.argv[2])
bad = 0
for i in range(n):
    os.mkdir(f"{m}/queue/d{i:04}")
    bad += not open(f"{m}/runs/d{i:04}/status").read().startswith("draft ")
print(bad)' "$M" $n)
assert_eq "$out" 0

t "every list has all of them, once"
for d in queue runs latest status; do assert_eq "$(ls "$M/$d" | sort -u | wc -l)" $n "$d"; done
wait_for bash -c "[ \$(wc -l <'$M/runs.csv') = $((n + 1)) ]"

t "status of all of them in one go is quick"
start=$(millis)
lines=$(cat "$M"/status/* | wc -l)
took=$(($(millis) - start))
assert_eq "$lines" $n
[ $took -lt $((3000 * ${KEXEC_TEST_SLOWER:-1})) ] || complain "took $took ms"

t "a listing while entries come and go misses none that stayed"
out=$("$PY" -c '
import os, sys, threading
m, n = sys.argv[1], int(sys.argv[2])
stay = {f"d{i:04}" for i in range(0, n, 2)}
def churn():
    for i in range(1, n, 2):
        os.rmdir(f"{m}/queue/d{i:04}")
        os.mkdir(f"{m}/queue/x{i:04}")
th = threading.Thread(target=churn); th.start()
missing = doubled = 0
while th.is_alive():
    for d in ("queue", "runs", "status"):
        names = os.listdir(f"{m}/{d}")
        missing += len(stay - set(names)); doubled += len(names) - len(set(names))
th.join()
print(missing, doubled)' "$M" $n)
assert_eq "$out" "0 0" "missing and doubled"

t "rm -r of all drafts leaves nothing"
ok find "$M/queue" -mindepth 1 -delete
assert_eq "$(ls -A "$M/queue" "$M/runs" | grep -cE '^[dx]')" 0

t "twenty runs submitted at once all complete"
for i in $(seq 20); do submit_script "r$i" "print('run $i')"; done
for i in $(seq 20); do assert_eq "$(final_state "r$i" 120)" complete "r$i"; done
for i in $(seq 20); do assert_match "$(cat "$M/runs/r$i/log")" "^run $i\$"; done

t "they are all in runs.csv and on the dashboard"
wait_for bash -c "[ \$(grep -c ',complete,' '$M/runs.csv') = 20 ]"
page=$(cat "$M/index.html")
for i in 1 10 20; do assert_match "$page" "r$i\\b"; done
