#!/bin/bash
# A notebook through a real kernel: outputs, parameters, a failing cell, progress.
# limit: 180
# tags: asan
. "$(dirname "$0")/lib.sh"
"$PY" -c 'import nbclient, ipykernel' 2>/dev/null || skip_all "nbclient and ipykernel are not installed for $PY"
begin
start_kexec

# notebook FILE CELL…: a notebook of code cells; a cell that begins with "%params " is tagged.
notebook() {
	"$PY" - "$@" <<-'PY'
	import json, sys
	cells = [{"cell_type": "markdown", "metadata": {}, "id": "m0", "source": ["# Title\n", "text"]}]
	for i, src in enumerate(sys.argv[2:]):
	    tags = []
	    if src.startswith("%params "):
	        src, tags = src[8:], ["parameters"]
	    cells.append({"cell_type": "code", "id": f"c{i}", "metadata": {"tags": tags}, "execution_count": None,
	                  "outputs": [], "source": src.splitlines(True)})
	json.dump({"nbformat": 4, "nbformat_minor": 5, "cells": cells, "metadata":
	    {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}}, open(sys.argv[1], "w"))
	PY
}

t "a notebook runs to complete with its outputs"
mkdir "$T/in/nb"
notebook "$T/in/nb/train.ipynb" 'print("metric auc=0.5 step=1")' 'import os
open("submission.csv", "w").write("a,b\n")
print("hello from cell 2")' '1 + 41'
ok cp -r "$T/in/nb" "$M/queue/"
assert_eq "$(final_state nb 90)" complete "$(cat "$M/runs/nb/status")"
assert_exists "$M/runs/nb/results/submission.csv"
assert_match "$(cat "$M/runs/nb/log")" 'hello from cell 2'
assert_match "$(cat "$M/runs/nb/metrics.csv")" '^1,auc,0\.5'
executed=$(find "$M/runs/nb/results" -name '*.ipynb' | head -n 1)
[ -n "$executed" ] || complain "the executed notebook is not among the results: $(ls "$M/runs/nb/results")"
assert_eq "$(json "$executed" '["".join(o["data"]["text/plain"]) for c in j["cells"] for o in c.get("outputs", []) if o["output_type"] == "execute_result"][0]')" 42
assert_same_tree "$T/in/nb" "$M/runs/nb/source"

t "parameters replace the tagged cell's values"
mkdir "$T/in/par"
notebook "$T/in/par/p.ipynb" '%params lr = 0.5
name = "default"' 'print("lr is", lr, "name is", name)'
printf '{"parameters": {"lr": 0.125, "name": "it'"'"'s \\"日本\\""}}' >"$T/in/par/kexec.json"
ok cp -r "$T/in/par" "$M/queue/"
assert_eq "$(final_state par 90)" complete
assert_match "$(cat "$M/runs/par/log")" "lr is 0.125 name is it's \"日本\""

t "a failing cell: failed, class code, where it happened, what was left stays in the attempt"
mkdir "$T/in/bad"
notebook "$T/in/bad/b.ipynb" 'open("partial.txt", "w").write("kept")' 'x = {}
x["nope"]' 'print("never")'
ok cp -r "$T/in/bad" "$M/queue/"
assert_eq "$(final_state bad 90)" failed
assert_eq "$(json "$M/runs/bad/state.json" 'j["error_type"]')" code
assert_match "$(json "$M/runs/bad/state.json" 'j["error_context"]')" 'KeyError'
assert_match "$(cat "$M/runs/bad/status" "$M/runs/bad/report.md")" 'cell 2|cell 3'
assert_no_match "$(cat "$M/runs/bad/log")" '^never$'
assert_absent "$M/runs/bad/results"
assert_exists "$M/runs/bad/attempts/1/output/partial.txt"

t "a cell that kills its kernel is told, not waited for"
mkdir "$T/in/die"
notebook "$T/in/die/d.ipynb" 'import os, signal
os.kill(os.getpid(), signal.SIGKILL)' 'print("never")'
ok cp -r "$T/in/die" "$M/queue/"
assert_eq "$(final_state die 90)" failed

t "main.ipynb next to other notebooks needs kexec.json or its name"
mkdir "$T/in/more"
notebook "$T/in/more/main.ipynb" 'print("the main one")'
notebook "$T/in/more/other.ipynb" 'print("the other one")'
ok cp -r "$T/in/more" "$M/queue/"
assert_eq "$(final_state more 90)" complete
assert_match "$(cat "$M/runs/more/log")" 'the main one'

t "two notebooks at once both end well"
mkdir "$T/in/p1" "$T/in/p2"
notebook "$T/in/p1/n.ipynb" 'print("one")'
notebook "$T/in/p2/n.ipynb" 'print("two")'
cp -r "$T/in/p1" "$M/queue/" && cp -r "$T/in/p2" "$M/queue/"
assert_eq "$(final_state p1 90)" complete
assert_eq "$(final_state p2 90)" complete
