"""What the commonest actions cost, beside the same on the file system that holds the state.

usage: basics.py MOUNT NATIVE-DIR      medians of rounds that alternate between the two
"""
import os, shutil, statistics, subprocess, sys, time

mount, native = sys.argv[1:3]


def percentiles(action, n):
    took = []
    for _ in range(n):
        t = time.perf_counter()
        action()
        took.append(time.perf_counter() - t)
    took.sort()
    return took[n // 2] * 1e6, took[int(n * 0.99)] * 1e6


def read_whole(path):
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, 4096)
    os.close(fd)


def side_by_side(name, ours, theirs, n):
    rounds = [(percentiles(ours, n), percentiles(theirs, n)) for _ in range(5)]
    a, b = (statistics.median(r[i][0] for r in rounds) for i in (0, 1))
    p99 = statistics.median(r[0][1] for r in rounds)
    print(f"{name}: {a:.1f} us p50, {p99:.1f} us p99; native {b:.1f} us p50")


status, plain = mount + "/runs/base/status", native + "/plain"
with open(plain, "w") as f:
    f.write(open(status).read())
side_by_side("open+read+close of status", lambda: read_whole(status), lambda: read_whole(plain), 2000)
side_by_side("stat of status", lambda: os.stat(status), lambda: os.stat(plain), 2000)
side_by_side("stat of README", lambda: os.stat(mount + "/README"), lambda: os.stat(plain), 2000)

source = native + "/source"
os.mkdir(source)
for i in range(1000):
    with open(f"{source}/file{i}", "w") as f:
        f.write("x" * 1000)
ratios, ours = [], []
for _ in range(5):
    took = []
    for target in (mount + "/queue/.bench", native + "/copy"):
        t = time.perf_counter()
        subprocess.run(["cp", "-r", source, target], check=True)
        took.append(time.perf_counter() - t)
        shutil.rmtree(target)
    ours.append(took[0])
    ratios.append(took[0] / took[1])
print(f"cp -r of 1,000 files: {statistics.median(ours):.3f} s, {statistics.median(ratios):.2f} x native (median of 5 pairs)")
big = native + "/big"
with open(big, "wb") as f:
    f.write(os.urandom(1 << 20) * 256)
t = time.perf_counter()
subprocess.run(["cp", big, mount + "/queue/.held/big"], check=True)
took = time.perf_counter() - t
print(f"write of 256 MiB into a draft: {256 / took:.0f} MiB/s")
