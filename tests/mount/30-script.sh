#!/bin/bash
# A Python script from copy to complete: every file of the run's folder says what it must.
# tags: quick asan tsan
. "$(dirname "$0")/lib.sh"
begin
start_kexec
r=$M/runs/job

mkdir "$T/in/job"
cat >"$T/in/job/main.py" <<'PY'
import csv, os, sys, time
print("starting", flush=True)
for step in range(1, 6):
    print(f"metric loss={1.0 / step} step={step}", flush=True)
print("metric cv_auc=0.75", flush=True)
print("to the other stream", file=sys.stderr, flush=True)
with open("submission.csv", "w") as f:
    f.write("id,y\n1,0\n")
os.makedirs("models/deep", exist_ok=True)
open("models/deep/m.bin", "wb").write(bytes(range(256)))
print("日本語 done")
PY
cat >"$T/in/job/kexec.json" <<'JSON'
{"expect": ["submission.csv"], "metric": {"name": "cv_auc", "goal": "max"},
 "feature": "vix", "attempt": 3}
JSON

t "cp -r submits, wait blocks and gives the last status line"
ok cp -r "$T/in/job" "$M/queue/"
line=$(timeout 60 cat "$M/latest/job/wait")
assert_match "$line" '^complete ([0-9]+%|-) local [0-9]{2}:[0-9]{2}:[0-9]{2} .*\(at 20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}\)$'
assert_eq "$line" "$(cat "$r/status")"

t "the folder has the shape of every run"
for f in status state.json ctl log events changes metrics.csv curve.svg validation.txt validation.json report.md source attempts results; do
	assert_exists "$r/$f"
done

t "results hold what the script left"
assert_eq "$(cat "$r/results/submission.csv")" "$(printf 'id,y\n1,0')"
assert_eq "$(stat -c %s "$r/results/models/deep/m.bin")" 256
assert_call EROFS 'open(a[0], "w")' "$r/results/new"

t "log holds both streams, in any language"
assert_match "$(cat "$r/log")" '^starting$'
assert_match "$(cat "$r/log")" 'to the other stream'
assert_match "$(cat "$r/log")" '日本語 done'

t "metrics.csv has a row a report; curve.svg draws"
assert_eq "$(head -n 1 "$r/metrics.csv")" step,name,value
assert_eq "$(grep -c ',loss,' "$r/metrics.csv")" 5
assert_match "$(cat "$r/metrics.csv")" '^5,loss,0\.2'
assert_match "$(cat "$r/metrics.csv")" ',cv_auc,0\.75'
ok "$PY" -c 'import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1]); assert d.documentElement.tagName == "svg"' "$r/curve.svg"

t "state.json has the requirements' keys"
assert_eq "$(json "$r/state.json" 'j["state"]')" complete
assert_eq "$(json "$r/state.json" 'j["status"]')" in_progress
assert_eq "$(json "$r/state.json" 'j["resume_from"]')" evaluator
assert_eq "$(json "$r/state.json" 'j["current_feature"]')" vix
assert_eq "$(json "$r/state.json" 'j["current_attempt"]')" 3
assert_match "$(json "$r/state.json" 'j["submitted_at"]')" '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}'
assert_eq "$(json "$r/state.json" '"kaggle_kernel" in j')" true
assert_eq "$(json "$r/state.json" 'j.get("error_type")')" ""

t "events are JSON lines from submission to complete, in order, with times that do not go back"
out=$("$PY" -c '
import json, sys
ev = [json.loads(l) for l in open(sys.argv[1])]
key = "state" if "state" in ev[0] else "to"
states = [e[key] for e in ev if key in e]
times = [e["time"] for e in ev]
assert times == sorted(times), times
i = -1
for s in ("queued", "running", "complete"):
    i = states.index(s, i + 1)
print("ok")' "$r/events" 2>&1)
assert_eq "$out" ok

t "runs.csv has its row, RFC 4180"
wait_for grep -q '^job,' "$M/runs.csv"
out=$("$PY" -c '
import csv, sys
row = next(r for r in csv.DictReader(open(sys.argv[1])) if r["name"] == "job")
print(row["kind"], row["backend"], row["state"], row["metric"], float(row["value"]), row["attempt"])' "$M/runs.csv" 2>&1)
assert_eq "$out" "script local complete cv_auc 0.75 1"

t "validation.txt says ok; report.md tells the story; changes says it is the first"
assert_match "$(head -n 1 "$r/validation.txt")" '^ok'
ok "$PY" -c 'import json, sys; json.load(open(sys.argv[1]))' "$r/validation.json"
assert_match "$(cat "$r/report.md")" '^# '
assert_match "$(cat "$r/report.md")" 'cv'
assert_match "$(cat "$r/changes")" 'first'

t "source is exactly what was submitted, and read-only"
assert_same_tree "$T/in/job" "$r/source"
assert_call EROFS 'open(a[0], "a")' "$r/source/main.py"
assert_call EROFS 'open(a[0], "w")' "$r/source/new"
assert_call OK 'os.unlink(a[0])' "$r/source/main.py" # without effect, as everywhere inside an ended run
assert_exists "$r/source/main.py"
assert_call EROFS 'os.chmod(a[0], 0o777)' "$r/source/main.py"
assert_call EROFS 'os.truncate(a[0], 0)' "$r/source/main.py"

t "attempts/1 keeps the try"
assert_match "$(ls "$r/attempts/1")" '^log$'
assert_match "$(cat "$r/attempts/1/status")" 'complete'
assert_match "$(cat "$r/attempts/1/backend")" 'local'
assert_exists "$r/attempts/1/output/submission.csv"

t "while it runs: running, waiting_training, a growing log, no results yet, wait blocks"
submit_script live 'import os, time
print("one", flush=True)
for i in range(600):
    time.sleep(0.1)
    print("tick", i, flush=True)' '{}'
wait_for is_state live running
assert_eq "$(json "$M/runs/live/state.json" 'j["status"]')" waiting_training
assert_eq "$(json "$M/runs/live/state.json" 'j["resume_from"]')" evaluator
assert_absent "$M/runs/live/results"
wait_for log_has live 'tick 3$'
timeout 1 cat "$M/runs/live/wait" >/dev/null
assert_eq $? 124 "wait should block and be interruptible"
timeout 4 tail -f "$M/runs/live/log" >"$T/tail"
assert_match "$(cat "$T/tail")" 'tick 1[0-9]$' "tail -f follows"
assert_eq "$(grep -c '^tick 5$' "$T/tail")" 1 "no line twice"

t "its status line changes only on news"
a=$(cat "$M/runs/live/status") && b=$(cat "$M/runs/live/status")
assert_eq "$(stat -c %s "$M/runs/live/status")" "$(printf '%s\n' "$a" | wc -c)"
[ -n "$b" ] || complain "no line"

t "cancel ends it"
ok bash -c "echo cancel > '$M/runs/live/ctl'"
assert_final live cancelled

t "a second run of that name: changes shows the difference"
sed -i 's/0.75/0.80/' "$T/in/job/main.py"
ok cp -r "$T/in/job" "$M/queue/"
assert_final job-2 complete
assert_match "$(cat "$M/runs/job-2/changes")" '^\+.*0\.80'
assert_match "$(cat "$M/runs/job-2/changes")" '^-.*0\.75'
assert_match "$(cat "$M/runs/job-2/changes")" ': 0\.75 -> 0\.8' "the metric, known at the end"
assert_match "$(cat "$M/runs/job-2/report.md")" '^\| 1 \| local \| complete \|' "the attempt in the report"

t "a missing expected file makes it failed"
submit_script noexpect 'print(1)' '{"expect": ["submission.csv"]}'
assert_final noexpect failed
assert_match "$(cat "$M/runs/noexpect/status")" 'submission\.csv'
assert_absent "$M/runs/noexpect/results"
