"""The official client against the fake: official.py PATH_OF_KAGGLE. TAP on stdout."""
import contextlib
import csv
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Service, notebook  # noqa: E402
from tap import check, has, run  # noqa: E402

OWNER = "alice"


class Client:
    """The official program with a home of its own, its only way out the fake."""

    def __init__(self, program, service, folder, token=True):
        self.program, self.folder = program, pathlib.Path(folder)
        home = self.folder / "home"
        home.mkdir(parents=True)
        user = service.user(OWNER)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": f"http://127.0.0.1:{service.port}", "no_proxy": "", "TMPDIR": str(self.folder),
            **({"KAGGLE_API_TOKEN": user["token"]} if token
               else {"KAGGLE_USERNAME": OWNER, "KAGGLE_KEY": user["key"]})}

    def run(self, *words, status=0, cwd=None, **environment):
        done = subprocess.run([self.program, *words], env={**self.environment, **environment}, capture_output=True,
                              text=True, timeout=120, cwd=cwd or self.folder, check=False)
        output = done.stdout + done.stderr
        check(done.returncode == status, f"kaggle {' '.join(words)}: exit {done.returncode}: {output[-1500:]}")
        return output

    def until(self, wanted, *words):
        """Repeats a command until its output has that word."""
        end = time.monotonic() + 60
        while True:
            output = self.run(*words)
            if wanted in output:
                return output
            check(time.monotonic() < end, f"kaggle {' '.join(words)} never said {wanted}: {output}")

    def kernel(self, slug, source, **metadata):
        """A folder to push."""
        folder = self.folder / slug
        folder.mkdir(exist_ok=True)
        kind = "script" if isinstance(source, str) else "notebook"
        name = "code.py" if kind == "script" else "code.ipynb"
        (folder / name).write_text(source if kind == "script" else json.dumps(source))
        metadata = {"id": f"{OWNER}/{slug}", "title": slug.replace("-", " "), "code_file": name, "language": "python",
                    "kernel_type": kind, "is_private": True, **metadata}
        (folder / "kernel-metadata.json").write_text(json.dumps(metadata))
        return str(folder)


# ---- Kernels ----

def push_a_notebook(client, service):
    """kernels push runs a notebook"""
    book = notebook("print('hello from a notebook')", "open('result.csv', 'w').write('a,b\\n1,2\\n')",
                    "import os; os.makedirs('sub', exist_ok=True); open('sub/deep.txt', 'w').write('deep')")
    book["cells"][0]["source"] = ["print('hello", " from a notebook')"]
    book["metadata"]["kexec"] = {"token": "tok-1"}
    output = client.run("kernels", "push", "-p", client.kernel("first-book", book))
    has(output, "Kernel version 1 successfully pushed", "/code/alice/first-book")
    effects = service.log()["effects"]
    check(len(effects) == 1, f"one push is in the oracle: {effects}")
    check(effects[0]["token"] == "tok-1" and effects[0]["slug"] == "first-book", f"the oracle knows it: {effects}")


def status_of_it(client, service):
    """kernels status"""
    output = client.until("COMPLETE", "kernels", "status", "alice/first-book")
    has(output, 'alice/first-book has status "KernelWorkerStatus.COMPLETE"')


def output_of_it(client, service):
    """kernels output writes files and log"""
    folder = client.folder / "got"
    output = client.run("kernels", "output", "alice/first-book", "-p", str(folder))
    has(output, "Output file downloaded to", "Kernel log downloaded to")
    check((folder / "result.csv").read_text() == "a,b\n1,2\n", "result.csv is what the notebook wrote")
    check((folder / "sub/deep.txt").read_text() == "deep", "sub/deep.txt too")
    log = json.loads((folder / "first-book.log").read_text())
    check(any(e["data"] == "hello from a notebook\n" and e["stream_name"] == "stdout" for e in log), f"the log: {log}")


def files_of_it(client, service):
    """kernels files"""
    has(client.run("kernels", "files", "alice/first-book"), "result.csv", "sub/deep.txt")


def stored_log(client, service):
    """kernels logs"""
    has(client.run("kernels", "logs", "alice/first-book"), "hello from a notebook")


def pull_it(client, service):
    """kernels pull gives the source back"""
    folder = client.folder / "pulled"
    client.run("kernels", "pull", "alice/first-book", "-p", str(folder), "-m")
    book = json.loads((folder / "first-book.ipynb").read_text())
    check(book["metadata"]["kexec"]["token"] == "tok-1", "the source comes back as it was pushed")
    metadata = json.loads((folder / "kernel-metadata.json").read_text())
    check(metadata["id"] == "alice/first-book" and metadata["is_private"], f"its metadata: {metadata}")


def list_mine(client, service):
    """kernels list"""
    output = client.run("kernels", "list", "-m", "--csv")
    rows = list(csv.DictReader(io.StringIO(output)))
    check([r["ref"] for r in rows] == ["alice/first-book"], f"only mine: {rows}")
    has(client.run("kernels", "list", "--user", "bob"), "bob/public-demo")
    check("secret-demo" not in client.run("kernels", "list", "--user", "bob"), "what is private is not listed")


def follow_a_log(client, service):
    """kernels logs --follow survives cut streams"""
    service.script({"runs": [{"slug": "alice/told-live", "queue_seconds": 0, "run_seconds": 3, "cut_after": [2, 3],
                              "log": [[0.1 * n, f"line {n}"] for n in range(20)]}]})
    client.run("kernels", "push", "-p", client.kernel("told-live", "pass\n"))
    output = client.run("kernels", "logs", "-f", "alice/told-live")
    check(re.findall(r"line (\d+)", output) == [str(n) for n in range(20)], f"each line once, in order: {output}")


def script_that_fails(client, service):
    """a script that fails"""
    client.run("kernels", "push", "-p", client.kernel("bad-script", "print('before', flush=True)\nraise ValueError('so')\n"))
    client.until("ERROR", "kernels", "status", "alice/bad-script")
    has(client.run("kernels", "logs", "alice/bad-script"), "before", "ValueError: so")


def notebook_that_fails(client, service):
    """a notebook that fails tells it as papermill does"""
    client.run("kernels", "push", "-p", client.kernel("bad-book", notebook("x = 1", "import nothing_like_it")))
    client.until("ERROR", "kernels", "status", "alice/bad-book")
    has(client.run("kernels", "logs", "alice/bad-book"), "PapermillExecutionError", 'In [2]',
        "ModuleNotFoundError: No module named 'nothing_like_it'")


def notebook_without_kernel(client, service):
    """a notebook without a kernel name fails at once"""
    book = notebook("print(1)")
    del book["metadata"]["kernelspec"]
    client.run("kernels", "push", "-p", client.kernel("no-kernel", book))
    client.until("ERROR", "kernels", "status", "alice/no-kernel")
    has(client.run("kernels", "logs", "alice/no-kernel"), "No kernel name found in notebook")


def failure_message(client, service):
    """a failure message is shown"""
    service.script({"runs": [{"slug": "alice/too-long", "status": "ERROR", "failure_message": "It took too long.",
                              "queue_seconds": 0}]})
    client.run("kernels", "push", "-p", client.kernel("too-long", "pass\n"))
    output = client.until("ERROR", "kernels", "status", "alice/too-long")
    has(output, 'Failure message: "It took too long."')


def queued_is_the_default(client, service):
    """no status means QUEUED"""
    service.script({"runs": [{"slug": "alice/in-line", "queue_seconds": 3600, "log": []}]})
    client.run("kernels", "push", "-p", client.kernel("in-line", "pass\n"))
    has(client.run("kernels", "status", "alice/in-line"), "KernelWorkerStatus.QUEUED")


def slots_and_exit_code(client, service):
    """the third GPU session is refused"""
    service.script({"runs": [{"slug": "alice/long-*", "run_seconds": 3600, "queue_seconds": 0, "log": []}]})
    for n in (1, 2):
        client.run("kernels", "push", "-p", client.kernel(f"long-run-{n}", "pass\n", enable_gpu=True))
    output = client.run("kernels", "push", "-p", client.kernel("long-run-3", "pass\n", enable_gpu=True))
    has(output, "Kernel push error: Maximum batch GPU session count of 2 reached.")


def invalid_sources(client, service):
    """invalid sources are listed and the version is there"""
    output = client.run("kernels", "push", "-p", client.kernel(
        "wants-much", "pass\n", dataset_sources=["bob/penguins", "bob/nothing"], competition_sources=["titanic", "typo"]))
    has(output, "not valid dataset sources", "bob/nothing", "not valid competition sources", "typo",
        "Kernel version 1 successfully pushed")
    check("'bob/penguins'" not in output, "a valid source is not complained of")


def attached_data(client, service):
    """attached data is there"""
    code = ("import os\nroot = '/kaggle/input' if os.path.isdir('/kaggle/input') else os.environ['KAGGLE_FAKE_INPUT']\n"
            "for p in ('datasets/bob/penguins', 'penguins', 'competitions/titanic', 'titanic'):\n"
            "    print(p, sorted(os.listdir(os.path.join(root, p))))\n")
    client.run("kernels", "push", "-p", client.kernel("reads-data", code, dataset_sources=["bob/penguins"],
                                                      competition_sources=["titanic"]))
    client.until("COMPLETE", "kernels", "status", "alice/reads-data")
    log = client.run("kernels", "logs", "alice/reads-data")
    has(log, "datasets/bob/penguins ['penguins.csv']", "penguins ['penguins.csv']", "titanic ['gender_submission.csv'")


def wrong_slug(client, service):
    """a wrong slug is a missing permission"""
    has(client.run("kernels", "status", "alice/never-was", status=1), "Permission 'kernels.get' was denied")


def error_shapes(client, service):
    """errors in both shapes"""
    service.script({"faults": [{"method": "SaveKernel", "kind": "status", "code": 429, "message": "TooManyRequests",
                                "http": 200, "times": 1}]})
    folder = client.kernel("too-many", "pass\n")
    has(client.run("kernels", "push", "-p", folder, status=1), "TooManyRequests")
    service.script({"faults": [{"method": "SaveKernel", "kind": "status", "code": 429, "shape": "error", "times": 1}]})
    has(client.run("kernels", "push", "-p", folder, status=1), "429")
    check("too-many" not in [e["slug"] for e in service.log()["effects"]], "neither was a push")


def quota(client, service):
    """quota"""
    output = client.run("quota")
    has(output, "GPU", "TPU", "30")


def delete_kernel(client, service):
    """kernels delete"""
    client.run("kernels", "delete", "alice/bad-book", "-y")
    has(client.run("kernels", "status", "alice/bad-book", status=1), "denied")
    check(service.log()["effects"][-1]["effect"] == "delete", "the oracle saw it")


# ---- Datasets ----

def dataset_folder(client, files):
    folder = client.folder / "my-data"
    folder.mkdir(exist_ok=True)
    for name, body in files.items():
        (folder / name).write_text(body)
    (folder / "dataset-metadata.json").write_text(json.dumps(
        {"title": "My data of the day", "id": "alice/my-data-of-the-day", "licenses": [{"name": "CC0-1.0"}]}))
    return str(folder)


def dataset_create(client, service):
    """datasets create"""
    output = client.run("datasets", "create", "-p", dataset_folder(client, {"one.csv": "x,y\n3,4\n"}))
    has(output, "Upload successful: one.csv", "Your private Dataset is being created")
    client.until("ready", "datasets", "status", "alice/my-data-of-the-day")
    effect = service.log()["effects"][-1]
    check(effect["files"] == {"one.csv": 8} and effect["private"], f"the oracle: {effect}")


def dataset_version(client, service):
    """datasets version, its upload broken off once"""
    service.script({"faults": [{"method": "PUT", "kind": "status", "code": 503, "store": 4, "times": 1}]})
    folder = dataset_folder(client, {"one.csv": "x,y\n5,6\n", "two.txt": "two"})
    output = client.run("datasets", "version", "-p", folder, "-m", "second")
    has(output, "Dataset version is being created")
    client.until("ready", "datasets", "status", "alice/my-data-of-the-day")
    has(client.run("datasets", "files", "alice/my-data-of-the-day"), "one.csv", "two.txt")


def dataset_download(client, service):
    """datasets download"""
    folder = client.folder / "data"
    has(client.run("datasets", "download", "alice/my-data-of-the-day", "-p", str(folder)), "CC0-1.0")
    with zipfile.ZipFile(folder / "my-data-of-the-day.zip") as archive:
        check(archive.read("one.csv") == b"x,y\n5,6\n", "the new version")
    client.run("datasets", "download", "alice/my-data-of-the-day", "-f", "two.txt", "-p", str(folder))
    check((folder / "two.txt").read_text() == "two", "a single file")


def dataset_taken(client, service):
    """a title that is taken"""
    output = client.run("datasets", "create", "-p", dataset_folder(client, {}))
    has(output, "Dataset creation error", "already in use")


def dataset_delete(client, service):
    """datasets delete"""
    client.run("datasets", "delete", "alice/my-data-of-the-day", "-y")
    client.run("datasets", "status", "alice/my-data-of-the-day", status=1)


# ---- Competitions ----

def competitions_list(client, service):
    """competitions list"""
    has(client.run("competitions", "list"), "competitions/titanic", "closed-shop")


def competition_files(client, service):
    """competitions files and download"""
    has(client.run("competitions", "files", "titanic"), "train.csv", "gender_submission.csv")
    folder = client.folder / "titanic"
    client.run("competitions", "download", "titanic", "-p", str(folder))
    with zipfile.ZipFile(folder / "titanic.zip") as archive:
        check("train.csv" in archive.namelist(), "the zip holds the files")
    client.run("competitions", "download", "titanic", "-f", "test.csv", "-p", str(folder))
    check((folder / "test.csv").read_text().startswith("PassengerId"), "one file")


def submit(client, service):
    """competitions submit and submissions"""
    file = client.folder / "titanic/sub.csv"
    file.write_text("PassengerId,Survived\n" + "".join(f"{n},1\n" for n in range(892, 912)))
    has(client.run("competitions", "submit", "titanic", "-f", str(file), "-m", "all alive"),
        "Successfully submitted to Titanic")
    output = client.until("COMPLETE", "competitions", "submissions", "titanic")
    has(output, "sub.csv", "all alive", "0.35000")


def submit_code(client, service):
    """competitions submit of a notebook's output"""
    code = "open('submission.csv', 'w').write('PassengerId,Survived\\n' + ''.join(f'{n},0\\n' for n in range(892, 912)))"
    client.run("kernels", "push", "-p", client.kernel("code-entry", notebook(code)))
    client.until("COMPLETE", "kernels", "status", "alice/code-entry")
    has(client.run("competitions", "submit", "titanic", "-f", "submission.csv", "-k", "alice/code-entry", "-v", "1", "-m",
                   "by code"), "Successfully submitted")
    kinds = [e["effect"] for e in service.log()["effects"]]
    check(kinds.count("submission") == 2, "two submissions in the oracle")


def leaderboard(client, service):
    """competitions leaderboard"""
    has(client.run("competitions", "leaderboard", "titanic", "--show"), "Ada", "Alice", "名無し")
    folder = client.folder / "board"
    client.run("competitions", "leaderboard", "titanic", "--download", "-p", str(folder))
    with zipfile.ZipFile(folder / "titanic.zip") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read(archive.namelist()[0]).decode())))
    check(rows[0]["TeamName"] == "Ada" and len(rows) == 4, f"the whole board: {rows}")


def not_joined(client, service):
    """a competition that was not joined"""
    file = str(client.folder / "titanic/sub.csv")
    has(client.run("competitions", "submit", "closed-shop", "-f", file, "-m", "no", status=1), "participate", "denied")


def daily_cap(client, service):
    """the daily cap"""
    service.script({"competitions": {"capped": {"title": "Capped", "daily": 0}}})
    output = client.run("competitions", "submit", "capped", "-f", str(client.folder / "titanic/sub.csv"), "-m", "no", status=1)
    has(output, "reached your maximum number of submissions")


# ---- Credentials ----

def legacy_key(client, service):
    """a legacy key"""
    with tempfile.TemporaryDirectory() as folder:
        other = Client(client.program, service, folder, token=False)
        has(other.run("kernels", "list", "-m"), "alice/first-book")


def oauth_file(client, service):
    """an OAuth credentials file"""
    with tempfile.TemporaryDirectory() as folder:
        other = Client(client.program, service, folder)
        del other.environment["KAGGLE_API_TOKEN"]
        home = pathlib.Path(folder, "home/.kaggle")
        home.mkdir()
        (home / "credentials.json").write_text(json.dumps(
            {"refresh_token": service.user(OWNER)["refresh"], "username": OWNER, "scopes": ["resources.admin:*"]}))
        has(other.run("kernels", "list", "-m"), "alice/first-book")


def wrong_credentials(client, service):
    """wrong credentials"""
    with tempfile.TemporaryDirectory() as folder:
        other = Client(client.program, service, folder, token=False)
        other.environment["KAGGLE_KEY"] = "f" * 32
        has(other.run("kernels", "list", "-m", status=1), "Authentication required")
        check(service.log()["requests"][-1]["status"] == 401, "because the service refused them")


def no_leaks(client, service):
    """no secret went astray"""
    check(service.leaks() == [], f"the official client sends its secrets only where they belong: {service.leaks()}")


CASES = [
    push_a_notebook, status_of_it, output_of_it, files_of_it, stored_log, pull_it, list_mine, follow_a_log,
    script_that_fails, notebook_that_fails, notebook_without_kernel, failure_message, queued_is_the_default,
    invalid_sources, attached_data, slots_and_exit_code, wrong_slug, error_shapes, quota, delete_kernel,
    dataset_create, dataset_version, dataset_download, dataset_taken, dataset_delete, competitions_list,
    competition_files, submit, submit_code, leaderboard, not_joined, daily_cap, legacy_key, oauth_file,
    wrong_credentials, no_leaks,
]


def main():
    with tempfile.TemporaryDirectory() as folder, Service() as service:
        client = Client(sys.argv[1], service, folder + "/client")
        run(CASES, lambda: contextlib.nullcontext((client, service)))


if __name__ == "__main__":
    main()
