#!/usr/bin/env python3
"""Records what a Kaggle notebook leaves when it fails: the notebooks of recorded/ are really run by papermill, whose
output becomes a log in the shape of the service: a JSON array, one event {stream_name, time, data} a line.

    python3 -m venv /opt/classify
    /opt/classify/bin/pip install papermill ipykernel nbconvert 'pandas<3' lightgbm numba scikit-learn requests huggingface_hub yfinance
    tests/classify/record.py /opt/classify

The logs go to tests/fuzz/corpus/classify/kaggle-NAME, what must be read out of them to recorded.tsv beside this file;
tests/unit/test_classify_logs.c does. A notebook's first lines are as in cases.py, and

    # says: SENTENCE              the service's failureMessage
    # offline: yes                it was given no internet
    # next: retry                 default person
    # kernelspec: none            the notebook names no kernel
    # papermill: OPTIONS

kaggle-NAME-colour has, as older papermills printed it, IPython's traceback with its colours, out of the same run.
"""
import json
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "..", "fuzz", "corpus", "classify")
COLOURED = ("missing-module", "data-column", "oom-array")


def said(text, key, otherwise=""):
    found = re.search(rf"^# {key}: (.*)$", text, re.M)
    return found.group(1) if found else otherwise


def notebook(text):
    body = re.sub(r"\A(#.*\n)+", "", text)
    cells = [{"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": s}
             for i, s in enumerate(body.split("# %%\n"))]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "cells": cells,
            "metadata": {} if said(text, "kernelspec") == "none" else spec}


def run(command, folder, began, events):
    """Each line as an event, in the order in which they came."""
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as job:
        with selectors.DefaultSelector() as both:
            both.register(job.stdout, selectors.EVENT_READ, "stdout")
            both.register(job.stderr, selectors.EVENT_READ, "stderr")
            while both.get_map():
                for key, _ in both.select():
                    line = key.fileobj.readline()
                    if line:
                        events.append({"stream_name": key.data, "time": round(time.time() - began, 9),
                                       "data": line.decode("utf-8", "replace")})
                    else:
                        both.unregister(key.fileobj)


def write_log(name, events):
    with open(os.path.join(CORPUS, "kaggle-" + name), "w", encoding="utf-8") as f:
        f.write("[" + "\n,".join(json.dumps(e, ensure_ascii=False, separators=(",", ":")) for e in events) + "\n]")


def coloured(events, executed):
    """The traceback as papermill printed it before it took the colours out."""
    with open(executed, encoding="utf-8") as f:
        cells = json.load(f)["cells"]
    lines = next(o["traceback"] for c in cells for o in c.get("outputs", []) if o["output_type"] == "error")
    start = next(i for i, e in enumerate(events) if e["data"].startswith("Exception encountered at")) + 2
    text = "\n".join(lines) + "\n\n"
    return events[:start] + [{**events[start], "data": line} for line in text.splitlines(True)]


def record(venv, name, text):
    events, began = [], time.time()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "__script__.ipynb"), "w", encoding="utf-8") as f:
            json.dump(notebook(text), f)
        tools = os.path.join(venv, "bin")
        run([f"{tools}/papermill", "--no-progress-bar", "--stdout-file", "/dev/stdout", "--stderr-file", "/dev/stderr",
             *said(text, "papermill").split(), "__script__.ipynb", "__notebook__.ipynb"], folder, began, events)
        executed = os.path.join(folder, "__notebook__.ipynb")
        if os.path.exists(executed):
            run([f"{tools}/python", "-m", "nbconvert", "--to", "notebook", "__notebook__.ipynb", "--output", "__results__"],
                folder, began, events)
        write_log(name, events)
        if name in COLOURED:
            write_log(name + "-colour", coloured(events, executed))


def row(name, text):
    return "\t".join(["kaggle-" + name, said(text, "class"), said(text, "next", "person"),
                      said(text, "offline", "no"), said(text, "says"), said(text, "shows")])


def main(venv, *names):
    rows = ["# log\tclass\tnext step\toffline\tfailureMessage\ta line that shows it"]
    for file in sorted(os.listdir(os.path.join(HERE, "recorded"))):
        name = os.path.splitext(file)[0]
        with open(os.path.join(HERE, "recorded", file), encoding="utf-8") as f:
            text = f.read()
        if venv != "-" and (not names or name in names):
            record(venv, name, text)
        rows.append(row(name, text))
        if name in COLOURED:
            rows.append(row(name + "-colour", text))
    with open(os.path.join(HERE, "recorded.tsv"), "w", encoding="utf-8") as f:
        f.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
