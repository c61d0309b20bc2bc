"""The server dies at every coded point of every kind of request; who uses the mount notices nothing.

usage: deaths.py MOUNT FAULT-FILE STATE-DIR     prints one line a kind of request and a total; exit 1 on a failure

The fault file (fs/base/fault.h) is shared with the running daemon: the target is set to "the k-th point
from now", the operation is done, its effect is checked; k grows until the operation passes without a death.
"""
import errno, mmap, os, struct, subprocess, sys, time

mount, fault_file, state = sys.argv[1:4]
fault = mmap.mmap(os.open(fault_file, os.O_RDWR), 4096)
queue = mount + "/queue/.deaths"
failures, deaths, longest = [], 0, 0.0


def count():
    return struct.unpack_from("<Q", fault, 0)[0]


def aim(k):
    struct.pack_into("<QII", fault, 8, count() + k, 1, 0)


def disarm():
    struct.pack_into("<QII", fault, 8, 0, 0, 0)


def died(k, before):
    """The point was reached: the count has passed the target."""
    return count() >= before + k


def point():
    """Name of the point at which the server died last."""
    return bytes(fault[24:88]).split(b"\0")[0].decode()


def check(ok, what):
    if not ok:
        failures.append(f"{what} (after {point()})")


def exists(path):
    """Unlike os.path.lexists, anything but ENOENT is an error."""
    try:
        os.lstat(path)
        return True
    except FileNotFoundError:
        return False


def op_mkdir(k):
    path = f"{queue}/dir{k}"
    os.mkdir(path)
    check(os.path.isdir(path), "mkdir had no effect")


def op_draft(k):
    path = f"{mount}/queue/.draft{k}"
    os.mkdir(path)
    os.rename(path, path + "r")
    check(not exists(path) and exists(path + "r"), "rename of a draft")
    os.rmdir(path + "r")
    check(not exists(path + "r"), "rmdir of a draft")


def op_write(k):
    path = f"{queue}/file{k}"
    with open(path, "xb") as f:
        f.write(b"a" * 300000)
        f.flush()
        os.fsync(f.fileno())
        f.write(b"b" * 10)
    check(open(path, "rb").read() == b"a" * 300000 + b"b" * 10, "contents")


def op_append(k):
    path = f"{queue}/append"
    for i in range(3):
        with open(path, "a") as f:
            f.write(f"{k}.{i}\n")
    lines = open(path).read().split("\n")[-4:-1]
    check(lines == [f"{k}.{i}" for i in range(3)], f"appended lines: {lines}")


def op_names(k):
    path = f"{queue}/n{k}"
    open(path, "x").close()
    os.link(path, path + "l")
    os.symlink("n", path + "s")
    check(os.readlink(path + "s") == "n", "readlink")
    os.rename(path, path + "r")
    check(not exists(path) and exists(path + "r"), f"rename: {exists(path)} {os.listdir(queue)}")
    os.chmod(path + "r", 0o444)
    check(os.stat(path + "r").st_mode & 0o777 == 0o444, "chmod")
    for suffix in "lsr":
        os.unlink(path + suffix)
        check(not exists(path + suffix), "unlink " + suffix)


def op_open_unlinked(k):
    path = f"{queue}/u{k}"
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    os.write(fd, b"still here")
    os.unlink(path)
    check(os.pread(fd, 100, 0) == b"still here", "an unlinked open file")
    os.close(fd)


def op_read(k):
    for name in ("README", "status/done", "runs/done/state.json", "runs/done/log", "runs.csv", "index.html"):
        check(len(open(f"{mount}/{name}", "rb").read()) > 0, name + " is empty")


def op_list(k):
    check("done" in os.listdir(mount + "/runs"), "runs/ without the run")
    check(len([e for e in os.scandir(mount + "/runs/done") if e.stat()]) > 5, "a run without files")


def op_word(k):
    """`priority` is accepted once: the store has one more answer for it, and the run says so."""
    with open(mount + "/runs/held/ctl", "w") as f:
        f.write(f"priority {k % 10}\n")
    text = open(mount + "/runs/held/state.json").read()
    check(f'"priority":\t{k % 10}' in text or f'"priority": {k % 10}' in text, "the word had no effect")


def op_refused(k):
    try:
        with open(mount + "/runs/held/ctl", "w") as f:
            f.write("nonsense\n")
        check(False, "nonsense was accepted")
    except OSError as e:
        check(e.errno == errno.EINVAL, f"nonsense: {e}")


def op_remove(k):
    os.rename(mount + "/runs/done", f"{mount}/runs/done{k}")
    os.rmdir(f"{mount}/runs/done{k}")
    check(exists(f"{mount}/removed/done{k}"), f"not in removed/: {os.listdir(mount + '/removed')} {os.listdir(mount + '/runs')}")
    os.rename(f"{mount}/removed/done{k}", mount + "/runs/done")
    check(exists(mount + "/runs/done/log"), "did not come back")


def op_submit(k):
    """A whole run: the notifier announces it, so the server also dies while the notifier waits for it."""
    name = f"sub{k}"
    os.mkdir(f"{mount}/queue/.{name}")
    with open(f"{mount}/queue/.{name}/main.py", "w") as f:
        f.write("print('once')\n")
    os.rename(f"{mount}/queue/.{name}", f"{mount}/queue/{name}")
    line = open(f"{mount}/latest/{name}/wait").read()
    check(line.startswith("complete "), f"{name}: {line}")
    # The supervisor passes points too. Its death is evidence that the attempt is lost: one more is made.
    attempts = sorted(os.listdir(f"{mount}/runs/{name}/attempts"))
    check(attempts in (["1"], ["1", "2"]), f"{name}: attempts {attempts}")
    for lost in attempts[:-1]:
        check(open(f"{mount}/runs/{name}/attempts/{lost}/status").read().startswith("failed "), f"{name}: attempt {lost}")
        check(open(f"{mount}/runs/{name}/attempts/{lost}/log").read().count("once") <= 1, f"{name}: attempt {lost} twice")
    check(open(f"{mount}/runs/{name}/log").read() == "once\n", f"{name}: log")


os.mkdir(queue)
limit = int(os.environ.get("KEXEC_DEATHS_MAX", "1000"))
only = os.environ.get("KEXEC_DEATHS_KINDS", "").split()
for kind, op in [(n[3:], f) for n, f in list(globals().items()) if n.startswith("op_") and (not only or n[3:] in only)]:
    of_kind, step = 0, 12 if kind == "submit" else 1
    for k in range(1, limit, step):
        before = count()
        aim(k)
        started = time.monotonic()
        try:
            op(k)
        except OSError as e:
            failures.append(f"{kind}, point {k} ({point()}): {e}")
        longest = max(longest, time.monotonic() - started) if kind != "submit" else longest
        hit = died(k, before)
        disarm()
        if not hit:
            break
        of_kind += 1
        if len(failures) > 20:
            break
    deaths += of_kind
    print(f"# {kind}: {of_kind} deaths")
for line in failures:
    print("# FAILED", line)
print(f"# {deaths} deaths, {len(failures)} failures, longest operation {longest * 1000:.0f} ms")
sys.exit(1 if failures or deaths < 20 else 0)
