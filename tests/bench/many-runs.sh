#!/bin/bash
# How the mount behaves with 10,000 runs (or $1 of them): times of what users do, printed as a table.
# limit: 1800
. "$(dirname "$0")/../mount/lib.sh"
begin
config '{"submit": "explicit"}'
start_kexec
n=${1:-10000}

# timed SENTENCE CMD…: run it and print how long it took.
timed() {
	local label=$1 start
	shift
	start=$(millis)
	"$@" >/dev/null 2>"$T/err" || complain "$label: $(head -c 300 "$T/err")"
	printf '# %8d ms  %s\n' $(($(millis) - start)) "$label"
}
make_drafts() {
	"$PY" -c '
import os, sys
for i in range(int(sys.argv[2])): os.mkdir(f"{sys.argv[1]}/queue/d{i:05}")' "$M" "$n"
}
stat_all() { "$PY" -c '
import os, sys
for e in os.scandir(sys.argv[1] + "/runs"): os.stat(e.path + "/status")' "$M"; }

t "$n runs"
timed "mkdir of $n drafts, each durable" make_drafts
assert_eq "$(ls "$M/runs" | wc -l)" "$n"
timed "ls runs" ls "$M/runs"
timed "ls -l runs" ls -l "$M/runs"
timed "ls -l runs, again" ls -l "$M/runs"
timed "stat of every status" stat_all
timed "cat status/*" bash -c "cd '$M/status' && ls | xargs cat"
timed "cat runs.csv" cat "$M/runs.csv"
timed "cat index.html" cat "$M/index.html"
timed "one status" cat "$M/runs/d00042/status"
timed "submit one more, to its end" bash -c "mkdir '$M/queue/.x' && echo 'print(1)' >'$M/queue/.x/main.py' && mv '$M/queue/.x' '$M/queue/x' && cat '$M/latest/x/wait'"
stop_kexec
timed "start with $n runs" start_kexec
printf '# %8d KiB of memory\n' "$(awk '/VmRSS/{print $2}' "/proc/$(server_pid)/status")"
printf '# %8d KiB of state\n' "$(du -sk "$STATE" | cut -f1)"
