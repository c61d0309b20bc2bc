"""How long users of the mount wait when the server is killed.

usage: pause.py MOUNT KEEPER-PID ROUNDS idle|loaded

One process stats a file whose attributes are never cached, without a pause between; for each SIGKILL of the
server the longest stat until the next one is the pause. `loaded`: shells copy, compare, read and write words
meanwhile. Prints p50, p99 and the maximum in ms, and how many operations failed.
"""
import json, os, random, signal, subprocess, sys, time

mount, keeper, rounds, load = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


def server_of(keeper):
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as f:
                comm, rest = f.read().split("(", 1)[1].rsplit(")", 1)
            if comm == "kexec-server" and int(rest.split()[1]) == keeper:
                return int(entry)
        except (OSError, IndexError, ValueError):
            pass
    return None


def measure(out, stop):
    """Child: stat without end; slow ones and failures are written down."""
    path = mount + "/runs/base/status"
    slow, failed, n = [], [], 0
    while not os.path.exists(stop):
        for _ in range(200):
            t = time.monotonic()
            try:
                os.stat(path)
            except OSError as e:
                failed.append(str(e))
            d = time.monotonic() - t
            n += 1
            if d > 0.0005:
                slow.append((t, d))
    json.dump({"slow": slow, "failed": failed, "n": n}, open(out, "w"))


SHELLS = [
    'while [ ! -e "$2" ]; do rm -rf "$1/queue/.c"; cp -r /usr/include/linux/netfilter "$1/queue/.c" && '
    'diff -r /usr/include/linux/netfilter "$1/queue/.c" >&2 || echo copy; done',
    'while [ ! -e "$2" ]; do cat "$1/status/base" "$1/runs/base/state.json" "$1/README" >/dev/null || echo cat; done',
    'while [ ! -e "$2" ]; do ls -l "$1/runs/base" >/dev/null || echo ls; done',
    'while [ ! -e "$2" ]; do mkdir "$1/queue/.m" && mv "$1/queue/.m" "$1/queue/.n" && rmdir "$1/queue/.n" || echo names; done',
    'while [ ! -e "$2" ]; do dd if=/dev/zero of="$1/queue/.d/f" bs=64k count=16 2>/dev/null && '
    '[ "$(stat -c %s "$1/queue/.d/f")" = 1048576 ] || echo dd; done',
    'while [ ! -e "$2" ]; do echo lookup >"$1/runs/base/ctl" || echo word; done',
]

stop, out = f"/tmp/kexec-pause.{os.getpid()}.stop", f"/tmp/kexec-pause.{os.getpid()}.json"
os.mkdir(mount + "/queue/.d")
child = os.fork()
if child == 0:
    measure(out, stop)
    os._exit(0)
shells = []
if load == "loaded":
    shells = [subprocess.Popen(["sh", "-c", s, "sh", mount, stop], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for s in SHELLS]
time.sleep(0.5)
kills = []
while len(kills) < rounds:
    time.sleep(random.uniform(0.02, 0.15))
    pid = server_of(keeper)
    if pid:
        kills.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)
time.sleep(0.5)
open(stop, "w").close()
os.waitpid(child, 0)
complaints = [line for p in shells for line in p.communicate()[0].splitlines()]
seen = json.load(open(out))
for f in (stop, out):
    os.unlink(f)
ends = kills[1:] + [kills[-1] + 0.5]
pauses = sorted(max((d for t, d in seen["slow"] if a - 0.0005 <= t + d and t < b), default=0.0005) for a, b in zip(kills, ends))
q = lambda p: pauses[min(len(pauses) - 1, int(len(pauses) * p))] * 1000
print(f"{load}: {len(kills)} deaths, {seen['n']} stats, {len(seen['failed']) + len(complaints)} failed, "
      f"pause ms p50 {q(.5):.1f} p99 {q(.99):.1f} max {pauses[-1] * 1000:.1f}")
for line in (seen["failed"] + complaints)[:10]:
    print("  failed:", line)
sys.exit(1 if seen["failed"] or complaints else 0)
