"""The kill matrix of a submission to Kaggle: the server dies at every durable step and around every call, while replies
are kept, lost, late, doubled or refused. The fake service's own log is the judge: each run was pushed exactly once.

usage: kaggle_kills.py MOUNT FAULT-FILE SERVICE-URL [MODE…]     prints a line a mode and a total; exit 1 on a failure

The fault file (fs/base/fault.h) is shared with the running daemon: the target is set to "the k-th point from now", a
folder is submitted, and k grows until a run ends without a death. The points of the mount itself are the business of
deaths.py; here those of the store, of files made durable and of every call to the service count.
"""
import http.client, json, mmap, os, struct, subprocess, sys, urllib.request

mount, fault_file, service = sys.argv[1:4]
fault = mmap.mmap(os.open(fault_file, os.O_RDWR), 4096)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
LIMIT = int(os.environ.get("KEXEC_KILLS_MAX", "400"))
STEP = int(os.environ.get("KEXEC_KILLS_STEP", "1"))

# What goes wrong with SaveKernel, besides the death.
MODES = {
    "kept": [],
    "lost": [{"method": "SaveKernel", "kind": "reset", "when": "after"}],
    "late": [{"method": "SaveKernel", "kind": "delay", "seconds": 1.5}],
    "gateway": [{"method": "SaveKernel", "kind": "status", "when": "after", "code": 502, "shape": "html"}],
    "cut": [{"method": "SaveKernel", "kind": "truncate", "bytes": 5}],
}


def fake(path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    return json.load(opener.open(urllib.request.Request(f"{service}/_fake/{path}", data=data)))


def count():
    return struct.unpack_from("<Q", fault, 0)[0]


def aim(k):
    before = count()
    struct.pack_into("<QII", fault, 8, before + k, 1, 0)
    return before + k


def disarm():
    struct.pack_into("<QII", fault, 8, 0, 0, 0)


def point():
    return bytes(fault[24:88]).split(b"\0")[0].decode()


def pushes(slug):
    return [e for e in fake("log")["effects"] if e["effect"] == "push" and e["slug"] == slug]


def submit(name, slug):
    """A kernel folder, staged and renamed: it goes at that moment."""
    folder = f"{mount}/queue/.{name}"
    os.mkdir(folder)
    with open(folder + "/main.py", "w") as f:
        f.write("print('x')\n")
    with open(folder + "/kernel-metadata.json", "w") as f:
        json.dump({"id": "alice/" + slug, "title": slug, "code_file": "main.py", "language": "python", "kernel_type": "script"}, f)
    os.rename(folder, f"{mount}/queue/{name}")


def one(mode, k):
    """One run with a death at the k-th point from its submission on. True: the point was reached."""
    name = slug = f"kx-{mode}-{k}"
    target = aim(k)
    submit(name, slug)
    line = subprocess.run(["timeout", "120", "cat", f"{mount}/latest/{name}/wait"], capture_output=True, text=True).stdout
    hit = count() >= target
    where = point()
    disarm()
    made = pushes(slug)
    if hit:
        died_at[where] = died_at.get(where, 0) + 1
    if not line.startswith("complete "):
        failures.append(f"{mode}, point {k} ({where}): {line.strip() or 'no end within two minutes'}")
    if len(made) != 1:
        failures.append(f"{mode}, point {k} ({where}): pushed {len(made)} times")
    return hit


def matrix(mode, first):
    fake("script", {"reset": ["faults", "runs", "log"], "faults": MODES[mode],
                    "default_run": {"queue_seconds": 0, "run_seconds": 0.2, "log": [[0.1, "x\n"]],
                                    "outputs": [{"name": "a.txt", "text": "x"}], "status": "COMPLETE"}})
    deaths = 0
    for k in range(first, LIMIT, STEP):
        if not one(mode, k):
            break
        deaths += 1
        if len(failures) > 10:
            break
    print(f"# {mode}: {deaths} deaths, {len(failures)} failures so far", flush=True)
    return deaths


class Killed(Exception):
    pass


def naive_call(slug, die_at, step):
    """A push as simple clients do it: sent, and sent again when there is no good answer."""
    body = json.dumps({"slug": "alice/" + slug, "newTitle": slug, "text": "print('x')\n", "language": "python", "kernelType": "script",
                       "isPrivate": True}).encode()
    for _ in range(3):
        request = urllib.request.Request(service + "/api/v1/kernels.KernelsApiService/SaveKernel", data=body, headers={
            "Content-Type": "application/json", "Authorization": "Bearer " + os.environ["KAGGLE_API_TOKEN"]})
        try:
            json.load(opener.open(request, timeout=1))
            break
        except (OSError, ValueError, http.client.HTTPException):
            continue
    if die_at == step:
        raise Killed


def naive(slug, die_at):
    """State file, then push; after its death it begins again where the file says. Dies once at step die_at (0: never)."""
    state = "new"
    for life in range(2):
        die = die_at if life == 0 else 0
        try:
            if state == "new":
                if die == 1:
                    raise Killed
                state = "submitting"  # written to the file
                if die == 2:
                    raise Killed
                naive_call(slug, die, 3)
                state = "submitted"
                if die == 4:
                    raise Killed
            elif state == "submitting":
                naive_call(slug, 0, 3)
                state = "submitted"
        except Killed:
            continue
        return


def compare():
    """The same ways to go wrong with that client: how many of its runs were pushed exactly once?"""
    right = total = 0
    for mode in MODES:
        fake("script", {"reset": ["faults", "runs", "log"], "faults": MODES[mode]})
        for die_at in range(5):
            slug = f"naive-{mode}-{die_at}"
            naive(slug, die_at)
            total += 1
            right += len(pushes(slug)) == 1
    print(f"# a client that writes its state, pushes and tries again: {right} of {total} runs pushed exactly once", flush=True)
    return right, total


failures, died_at = [], {}
modes = sys.argv[4:] or list(MODES)
struct.pack_into("128s", fault, 88, b"kaggle. io. store. submit. collect.")
# Steps of several points begin elsewhere in each mode, so that together they meet all.
total = sum(matrix(mode, 1 + i % STEP) for i, mode in enumerate(modes))
right, of = compare()
leaks = fake("leaks")
if leaks if isinstance(leaks, list) else leaks.get("leaks"):
    failures.append(f"credentials went astray: {leaks}")
print("# points: " + ", ".join(f"{name} {n}" for name, n in sorted(died_at.items())))
for line in failures:
    print("# FAILED", line)
print(f"# {total} deaths in {len(modes)} modes, {len(failures)} failures")
sys.exit(1 if failures or total < 10 * len(modes) / STEP or right == of else 0)
