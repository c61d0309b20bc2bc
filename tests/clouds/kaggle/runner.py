"""Runs a pushed source in this process: runner.py script FILE, or runner.py notebook FILE. Dies with its parent.

A notebook's code cells run one after the other in one namespace, without a kernel; what fails is told as papermill tells it.
"""
import ctypes
import json
import linecache
import os
import signal
import subprocess
import sys
import traceback

PR_SET_PDEATHSIG = 1
PAPERMILL = "/usr/local/lib/python3.11/dist-packages/papermill"


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def plain(source):
    """A cell as Python: magics are dropped, shell lines become calls."""
    lines = []
    for line in source.splitlines():
        bare = line.lstrip()
        indent = line[:len(line) - len(bare)]
        if bare.startswith("%%"):
            return ""
        if bare.startswith("%"):
            line = indent + "pass"
        elif bare.startswith("!"):
            line = f"{indent}__shell__({bare[1:]!r})"
        lines.append(line)
    return "\n".join(lines) + "\n"


def shell(command):
    sys.stdout.flush()
    subprocess.run(command, shell=True, check=False, stdin=subprocess.DEVNULL)


def failed_line(error, name):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == name]
    if isinstance(error, SyntaxError) and not frames:
        return error.lineno or 1
    return frames[-1].lineno if frames else 1


def tell(error, number, name, source):
    """The traceback that a failed notebook leaves on stderr."""
    line = failed_line(error, name)
    lines = source.splitlines() or [""]
    kind = type(error).__name__
    shown = [f"{'---->' if n == line else '     '} {n} {lines[n - 1]}"
             for n in range(max(1, line - 2), min(len(lines), line + 2) + 1)]
    deeper = [f for f in traceback.extract_tb(error.__traceback__)[1:] if f.filename != name]
    for frame in deeper[-3:]:
        shown += ["", f"{frame.filename} in {frame.name}()", f"----> {frame.lineno} {frame.line}"]
    out = ["Traceback (most recent call last):", '  File "<string>", line 1, in <module>',
           f'  File "{PAPERMILL}/execute.py", line 131, in execute_notebook',
           "    raise_for_execution_errors(nb, output_path)",
           f'  File "{PAPERMILL}/execute.py", line 251, in raise_for_execution_errors', "    raise error",
           "papermill.exceptions.PapermillExecutionError: ", "-" * 75, f'Exception encountered at "In [{number}]":',
           "-" * 75, f"{kind:<42}Traceback (most recent call last)",
           f"/tmp/ipykernel_17/{name.strip('<>').replace(' ', '')}.py in <cell line: {line}>()", *shown, "",
           f"{kind}: {error}", ""]
    sys.stdout.flush()
    print("\n".join(out), file=sys.stderr, flush=True)


def run_notebook(path):
    with open(path, encoding="utf-8") as f:
        cells = json.load(f).get("cells", [])
    space = {"__name__": "__main__", "__shell__": shell}
    sources = [plain(c.get("source", "")) for c in cells if c.get("cell_type") == "code"]
    for number, source in enumerate(sources, 1):
        name = f"<cell {number}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        try:
            exec(compile(source, name, "exec"), space)
        except SystemExit:
            continue  # a kernel survives it
        except BaseException as error:  # whatever a cell raises ends the run, and is told
            tell(error, number, name, source)
            return 1
    return 0


def main():
    die_with_parent()
    sys.path.insert(0, os.getcwd())
    kind, path = sys.argv[1:3]
    if kind == "script":
        os.execv(sys.executable, [sys.executable, "-u", path])
    sys.path.pop(1)  # the folder of this program
    status = run_notebook(path)
    sys.stdout.flush()
    sys.exit(status)


if __name__ == "__main__":
    main()
