"""Runs one notebook for kexec, with Jupyter's own nbclient. Written into the job's box by the daemon.

    driver.py NOTEBOOK EXECUTED

Cells' output goes to our stdout and stderr as it comes; what the supervisor should know goes to file
descriptor 3 as JSON lines. The executed notebook is written whatever happens. Exit status: 0 all cells
ran, 1 a cell failed, 2 it could not be started, 3 the kernel died.
"""
import asyncio
import json
import os
import re
import signal
import sys
import time

OK, CELL_ERROR, SETUP_ERROR, DEAD_KERNEL = 0, 1, 2, 3
SAVE_SECONDS = 10       # at most this often while cells run
SCRAP_TYPES = ("application/papermill.record+json", "application/scrapbook.scrap.json+json")
ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def tell(**event):
    """One line to the supervisor, which may be gone."""
    try:
        os.write(3, (json.dumps(event) + "\n").encode()[:60000])
    except OSError:
        pass


def setup_failed(sentence):
    sentence = " ".join(str(sentence).split())
    print(sentence, file=sys.stderr, flush=True)
    tell(error=sentence[:400])
    sys.exit(SETUP_ERROR)


try:
    import nbclient
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from nbclient.exceptions import CellExecutionError, DeadKernelError
except ImportError as problem:
    setup_failed(f"This Python cannot run notebooks: {problem}")


class Stopped(Exception):
    """SIGTERM: a limit was reached or the run was cancelled."""


def scraps(output):
    """(name, number) of what papermill and scrapbook record in an output."""
    data = output.get("data", {})
    for kind in SCRAP_TYPES:
        record = data.get(kind)
        if not isinstance(record, dict):
            continue
        if kind.startswith("application/papermill"):
            yield from record.items()
        else:
            yield record.get("name"), record.get("data")


def report_scraps(output):
    for name, value in scraps(output):
        if isinstance(name, str) and isinstance(value, (int, float)) and not isinstance(value, bool):
            tell(name=name, value=value)


def plain(text):
    return ANSI.sub("", text)


class Client(nbclient.NotebookClient):
    """NotebookClient whose streams are seen while a cell runs."""

    def process_message(self, msg, cell, cell_index):
        content = msg.get("content", {})
        kind = msg.get("msg_type")
        if kind == "stream":
            stream = sys.stderr if content.get("name") == "stderr" else sys.stdout
            stream.write(content.get("text", ""))
            stream.flush()
        elif kind in ("display_data", "execute_result"):
            report_scraps(content)
            text = content.get("data", {}).get("text/plain")
            if kind == "execute_result" and text:
                print(text if isinstance(text, str) else "".join(text), flush=True)
        return super().process_message(msg, cell, cell_index)


class Run:
    def __init__(self, source, target):
        self.source, self.target = source, target
        self.nb = None
        self.saved = 0.0
        self.cells = 0
        self.done = 0
        self.stopped = False

    def read(self):
        try:
            self.nb = nbformat.read(self.source, as_version=4)
        except Exception as problem:  # nbformat raises many kinds for a file that is no notebook
            setup_failed(f"The notebook cannot be read: {problem}")
        self.cells = sum(self.runs(cell) for cell in self.nb.cells)

    @staticmethod
    def runs(cell):
        return cell.cell_type == "code" and bool(cell.source.strip())

    def save(self):
        """Replaced at once: whoever reads it never sees half a notebook."""
        part = self.target + ".part"
        try:
            with open(part, "w", encoding="utf-8", errors="replace") as file:
                nbformat.write(self.nb, file)
            os.replace(part, self.target)
        except Exception as problem:
            print(f"The executed notebook cannot be written: {problem}", file=sys.stderr, flush=True)
        self.saved = time.monotonic()

    def kernel(self):
        """The kernel the notebook names; python3 for a Python notebook whose own is not installed
        here (every virtual environment and cloud has its own names for the same thing)."""
        meta = self.nb.metadata
        spec = meta.get("kernelspec", {})
        name = spec.get("name") or "python3"
        language = spec.get("language") or meta.get("language_info", {}).get("name") or "python"
        manager = KernelSpecManager()
        try:
            manager.get_kernel_spec(name)
            return name
        except NoSuchKernel:
            pass
        if str(language).lower() not in ("python", "python3"):
            known = ", ".join(sorted(manager.find_kernel_specs())) or "none"
            setup_failed(f"NoSuchKernel: no kernel named {name} is installed (installed: {known})")
        print(f"Kernel {name} is not installed here; python3 is used.", file=sys.stderr, flush=True)
        return "python3"

    def cell_started(self, cell, cell_index):
        if self.runs(cell):
            tell(cell=self.done + 1, cells=self.cells, done=self.done)

    def cell_executed(self, cell, cell_index, execute_reply):
        self.done += 1
        tell(cell=self.done, cells=self.cells, done=self.done)
        if time.monotonic() - self.saved > SAVE_SECONDS:
            self.save()

    def client(self, folder):
        client = Client(
            self.nb, timeout=None, startup_timeout=180, kernel_name=self.kernel(),
            resources={"metadata": {"path": folder}}, allow_errors=False, record_timing=True,
            on_cell_start=self.cell_started, on_cell_executed=self.cell_executed)
        client.create_kernel_manager()
        # Sockets in the file system where the path is short enough for one: ports that were free when
        # they were chosen may be taken when the kernel binds them.
        runtime = os.environ.get("JUPYTER_RUNTIME_DIR", "")
        if runtime and len(runtime) < 50:
            os.makedirs(runtime, mode=0o700, exist_ok=True)
            client.km.transport = "ipc"
        return client

    async def execute(self, folder):
        """A task of its own, so that SIGTERM can end it at any await."""
        loop = asyncio.get_running_loop()
        client = self.client(folder)
        task = asyncio.ensure_future(client.async_execute(cleanup_kc=True))

        def stop():
            self.stopped = True
            self.save()  # now: how long the kernel takes to end is not in our hands
            client.shutdown_kernel = "immediate"
            task.cancel()

        # nbclient would install a handler that only ends the kernel.
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(stop))
        loop.add_signal_handler = lambda *_: None
        loop.remove_signal_handler = lambda *_: None
        try:
            await task
        except (asyncio.CancelledError, DeadKernelError):
            if self.stopped:
                raise Stopped() from None
            raise


def failed_cell(problem):
    """The traceback without colours, its last line "Type: message"."""
    text = plain(problem.traceback).rstrip()
    last = plain(f"{problem.ename}: {problem.evalue}").strip()
    print(text, file=sys.stderr)
    if text.splitlines()[-1:] != last.splitlines()[-1:]:
        print(last, file=sys.stderr)
    sys.stderr.flush()
    tell(error=" ".join(last.split())[:400])
    return CELL_ERROR


def kernel_failed(problem, code):
    last = f"{type(problem).__name__}: {plain(str(problem)).strip()}"
    print(last, file=sys.stderr, flush=True)
    tell(error=" ".join(last.split())[:400])
    return code


def main():
    run = Run(sys.argv[1], sys.argv[2])
    run.read()
    tell(cell=0, cells=run.cells, done=0)
    try:
        asyncio.run(run.execute(os.getcwd()))
        return OK
    except CellExecutionError as problem:
        return failed_cell(problem)
    except DeadKernelError as problem:
        return kernel_failed(problem, DEAD_KERNEL)
    except Stopped:
        print("Stopped: SIGTERM", file=sys.stderr, flush=True)
        return 128 + signal.SIGTERM
    except (RuntimeError, OSError, TimeoutError) as problem:
        return kernel_failed(problem, DEAD_KERNEL if run.done else SETUP_ERROR)
    finally:
        run.save()


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    code = main()
    # Threads of a kernel client that did not end in time must not hold the exit up.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
