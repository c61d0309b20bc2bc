"""Programs that fail, each really run: what class of error each must get, and the line that must show why.

    cases.py build FOLDER                    a submission of every case (NAME, and NAME-nb as a notebook) below FOLDER
    cases.py check RUNS [KEEP]               every run of one: state.json and report.md; TAP on standard output
                                             KEEP: a folder that gets the logs

A case is cases/NAME.py (.txt where it is no valid Python). Its first lines say what is expected of it:

    # class: oom                  the word; `none`: it must succeed
    # shows: REGEX                one of the proving lines (may be repeated)
    # as: script notebook         default script; cells of the notebook are separated by `# %%`
    # options: {"internet": false}    its kexec.json
    # needs: pandas               left out where that is not installed
"""
import json
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NEXT = {  # words of what happens next, by class
    "oom": "smaller", "missing_dep": "package", "dataset_missing": "data set", "pandas_compat": "pandas",
    "network_timeout": "could not be reached", "yfinance": "prices", "time_limit": "faster", "infra": "machine",
    "code": "program", "gpu": "GPU", "kernel_died": "kernel died", "kernelspec": "name a kernel",
    "no_internet": "internet", "access": "rules", "disk_full": "write less", "data": "columns",
    "unknown": "read the log"}


class Case:
    def __init__(self, name, text):
        self.name, self.text = name, text
        self.shows = re.findall(r"^# shows: (.*)$", text, re.M)
        self.error_class = self.said("class")
        self.forms = self.said("as", "script").split()
        self.options = json.loads(self.said("options", "{}"))
        self.needs = self.said("needs")

    def said(self, key, otherwise=""):
        found = re.search(rf"^# {key}: (.*)$", self.text, re.M)
        return found.group(1) if found else otherwise

    def runs(self):
        """(name of the run, is it a notebook)"""
        for form in self.forms:
            yield (self.name, False) if form == "script" else (self.name + "-nb", True)

    def notebook(self):
        body = re.sub(r"\A(#.*\n)+", "", self.text)
        cells = [{"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [],
                  "source": source} for i, source in enumerate(body.split("# %%\n"))]
        return {"nbformat": 4, "nbformat_minor": 5, "cells": cells, "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}}


def cases():
    folder = os.path.join(HERE, "cases")
    for file in sorted(os.listdir(folder)):
        with open(os.path.join(folder, file), encoding="utf-8") as f:
            case = Case(os.path.splitext(file)[0], f.read())
        if not case.needs or importable(case.needs):
            yield case


def importable(name):
    try:
        __import__(name)
        return True
    except ImportError:
        return False


def build(target):
    for case in cases():
        for name, is_notebook in case.runs():
            folder = os.path.join(target, name)
            shutil.copytree(os.path.join(HERE, "helpers"), folder, ignore=shutil.ignore_patterns("__pycache__"))
            write(os.path.join(folder, "main.ipynb" if is_notebook else "main.py"),
                  json.dumps(case.notebook()) if is_notebook else case.text)
            main = {"main": "main.ipynb" if is_notebook else "main.py"}
            write(os.path.join(folder, "kexec.json"), json.dumps({**main, **case.options}))


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def expected(case, state, report):
    """(what, is it so) for a run that failed as it should."""
    lines = state.get("error_lines") or []
    yield f"class {case.error_class}", state.get("error_type") == case.error_class
    yield "goes back to builder_model", state.get("resume_from") == "builder_model"
    yield "in_progress", state.get("status") == "in_progress"
    yield "what happens next", NEXT[case.error_class] in (state.get("next_step") or "")
    yield "a few short lines", 0 < len(lines) <= 5 and all(len(line) < 320 for line in lines)
    for pattern in case.shows:
        yield f"a line with {pattern}", any(re.search(pattern, line) for line in lines)
    yield "the report says the class", f"`{case.error_class}`" in report
    yield "the report has the lines", all(plain(line) in plain(report) for line in lines)


def plain(text):
    """Without what Markdown escapes."""
    return re.sub(r"[\\\s]|&[a-z]+;|[<>&]", "", text)


def problems(case, run):
    state = json.loads(read(os.path.join(run, "state.json")))
    if case.error_class == "none":
        return [] if state["state"] == "complete" else [f"{state['state']}: {state.get('detail')}"]
    found = [what for what, so in expected(case, state, read(os.path.join(run, "report.md"))) if not so]
    if found:
        found += [f"{k}: {state.get(k)!r}" for k in ("state", "error_type", "next_step", "error_context", "error_lines")]
    return found


def keep_log(run, name, folder):
    """As the fuzz corpus has it: the log, and after a NUL the executed notebook."""
    text = read(os.path.join(run, "log")).encode()
    executed = os.path.join(run, "attempts", "1", "output", "main.ipynb")
    if os.path.exists(executed):
        text += b"\0" + read(executed).encode()
    with open(os.path.join(folder, name), "wb") as f:
        f.write(text)


def check(runs, keep=None):
    bad = 0
    for case in cases():
        for name, _ in case.runs():
            run = os.path.join(runs, name)
            try:
                found = problems(case, run)
                if keep:
                    keep_log(run, name, keep)
            except (OSError, ValueError) as problem:
                found = [str(problem)]
            bad += bool(found)
            print(f"{'not ok' if found else 'ok'} - {name}: {case.error_class}")
            for line in found:
                print(f"# {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(sys.argv[2])
    else:
        sys.exit(check(*sys.argv[2:]))
