#!/bin/bash
# Hostile jobs: gigabytes on stdout, endless lines, forks left behind, files without end.
# limit: 240
. "$(dirname "$0")/lib.sh"
begin
start_kexec
used() { du -sm "$STATE" | cut -f1; }

t "a gigabyte on stdout: the job ends, the log is bounded, the mount stays quick"
submit_script flood 'import os
line = b"x" * 1023 + b"\n"
for i in range(1 << 20): os.write(1, line)
os.write(1, b"the last line\n")'
wait_for -n 30 log_has flood xxx
start=$(millis)
cat "$M/status/flood" "$M/runs.csv" >/dev/null
ls "$M/runs" >/dev/null
[ $(($(millis) - start)) -lt 2000 ] || complain "status, runs.csv and ls took $(($(millis) - start)) ms"
assert_eq "$(final_state flood 120)" complete
[ "$(used)" -lt 600 ] || complain "the state directory holds $(used) MB"
assert_match "$(tail -c 4000 "$M/runs/flood/log")" 'the last line' "the end of the output is kept"

t "one line of 300 MB without a newline, with terminal escapes and NULs"
submit_script oneline 'import os
b = b"\x1b[2J\x00\xff" * 250000
for i in range(300): os.write(1, b)'
assert_eq "$(final_state oneline 90)" complete
ok bash -c "cat '$M/runs/oneline/log' >/dev/null"
esc=$(printf '\033')
assert_no_match "$(cat "$M/runs/oneline/status" "$M/runs/oneline/report.md" | tr -d '\0')" "$esc" "escapes in status or report"

t "a million metrics: bounded, and curve.svg is still a picture"
submit_script metrics 'for i in range(1000000): print(f"metric m={i} step={i}")
for i in range(3000): print(f"metric name{i}=1 step=1")'
assert_eq "$(final_state metrics 120)" complete
[ "$(stat -c %s "$M/runs/metrics/curve.svg")" -lt 3000000 ] || complain "curve.svg is too large"
ok "$PY" -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$M/runs/metrics/curve.svg"

t "forks left behind, in their own session, are killed when the job ends"
submit_script orphans 'import os, time
for i in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        os.execvp("sleep", ["sleep", "98765"])
print("leaving them")'
assert_final orphans complete
no_orphans() { [ "$(pgrep -c -f 'sleep 98765')" = 0 ]; }
wait_for no_orphans

t "a fork bomb ends by its limits and the daemon goes on"
submit_script bomb 'import os, time
try:
    while True:
        if os.fork() == 0: time.sleep(30); os._exit(0)
except OSError as e:
    print("limit", e); raise' '{"hours": 0.003}'
assert_eq "$(final_state bomb 90)" failed
submit_script after 'print("alive")'
assert_final after complete

t "escapes, HTML and commas in what a job prints stay where they belong"
submit_script evil 'raise ValueError("<script>alert(1)</script>, \"q\" \x1b[31m red | # head")'
assert_final evil failed
assert_no_match "$(cat "$M/index.html")" '<script>alert\(1\)'
assert_no_match "$(cat "$M/runs/evil/status")" "$esc"
ok "$PY" -c 'import csv, sys; rows = list(csv.reader(open(sys.argv[1]))); assert len({len(r) for r in rows}) == 1' "$M/runs.csv"

t "results with names of every kind arrive whole"
submit_script names 'import os
open("日本語 と space.csv", "w").write("1")
open("-rf", "w").write("2")
open("n" * 255, "w").write("3")
os.makedirs("/".join(["d"] * 50)); open("/".join(["d"] * 50) + "/f", "w").write("4")
os.symlink("/etc/shadow", "out-link")
os.mkfifo("pipe")'
assert_final names complete
r=$M/runs/names/results
assert_eq "$(cat "$r/日本語 と space.csv")" 1
assert_eq "$(cat "$r/-rf")" 2
assert_eq "$(find "$r" -name f -path '*d/d*' -exec cat {} +)" 4
notok grep -q root "$r/out-link"
assert_absent "$r/pipe"
ok timeout 20 tar cf "$T/r.tar" -C "$r" .
