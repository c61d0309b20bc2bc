"""A pushed source really runs: in a folder of its own, its output as log events, its files as outputs."""
import os
import shutil
import signal
import subprocess
import sys
import threading

from storage import File, read_all

LARGEST_INPUT = 64 << 20
HERE = os.path.dirname(os.path.abspath(__file__))
_bwrap = None


def bwrap_root():
    """Arguments that show the machine as it is, on a root where /kaggle can be made; [] where that cannot be done."""
    global _bwrap
    if _bwrap is None:
        _bwrap = probe_bwrap()
    return _bwrap


def probe_bwrap():
    if not shutil.which("bwrap"):
        return []
    args = ["bwrap", "--die-with-parent"]
    for name in sorted(os.listdir("/")):
        path = "/" + name
        if name == "kaggle":
            continue
        if os.path.islink(path):
            args += ["--symlink", os.readlink(path), path]
        else:
            args += ["--dev-bind", path, path]
    try:
        done = subprocess.run(args + ["--dir", "/kaggle", "true"], capture_output=True, timeout=10, check=False)
        return args if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        return []


class Execution:
    """`session` gets add_event(stream, text) and finished(status, outputs)."""

    def __init__(self, world, session, source, kernel_type, inputs, limit):
        self.world, self.session, self.limit = world, session, limit
        self.work, self.input = world.folder("working"), world.folder("input")
        self.source = os.path.join(world.folder("source"), "source")
        with open(self.source, "w", encoding="utf-8") as f:
            f.write(source)
        self.kind, self.process, self.killed = kernel_type, None, False
        for path, content in inputs:
            if content.size <= LARGEST_INPUT:
                self.place(path, content)
        threading.Thread(target=self.go, daemon=True).start()

    def place(self, path, content):
        """An input file, at a relative path that was checked when it was stored."""
        target = os.path.join(self.input, path)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "xb") as f:
                f.write(read_all(content))
        except OSError:
            return  # a name that is a file here and a folder there, or too long: it is not mounted

    def command(self):
        base = [sys.executable, "-u", os.path.join(HERE, "runner.py"), self.kind, self.source]
        root = bwrap_root() if self.world.modes["sandbox"] == "auto" else []
        if not root:
            return base
        return root + ["--ro-bind", self.input, "/kaggle/input", "--bind", self.work, "/kaggle/working",
                       "--chdir", "/kaggle/working"] + base

    def environment(self):
        # What a container of the service would have, and nothing of ours: no credential of the test, no proxy.
        kept = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL", "TMPDIR") if k in os.environ}
        return {**kept, "HOME": self.work, "KAGGLE_FAKE_INPUT": self.input, "KAGGLE_KERNEL_RUN_TYPE": "Batch",
                "KAGGLE_FAKE_WORKING": self.work, "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}

    def go(self):
        try:
            self.process = subprocess.Popen(
                self.command(), cwd=self.work, env=self.environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            self.session.add_event("stderr", f"{error}\n")
            self.session.finished(1, [])
            return
        if self.killed:
            self.kill()
        timer = threading.Timer(self.limit, self.kill)
        timer.start()
        readers = [threading.Thread(target=self.read, args=(n, p), daemon=True)
                   for n, p in (("stdout", self.process.stdout), ("stderr", self.process.stderr))]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        status = self.process.wait()
        timer.cancel()
        self.session.finished(status, self.outputs())

    def read(self, name, pipe):
        for line in pipe:
            self.session.add_event(name, line.decode("utf-8", "replace"))

    def kill(self):
        self.killed = True
        if self.process and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def outputs(self):
        found = []
        for folder, names, files in os.walk(self.work):
            names.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    found.append((os.path.relpath(path, self.work), File(path)))
        return sorted(found)

