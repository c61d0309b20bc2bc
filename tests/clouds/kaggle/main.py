#!/usr/bin/python3
"""The fake Kaggle service: main.py [--port 0] [--script FILE] [--port-file FILE] [--with-parent]

Prints the port it listens on (127.0.0.1 only). README.md beside it says the rest.
"""
import argparse
import ctypes
import json
import os
import signal
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import seeds  # noqa: E402
from server import Fake  # noqa: E402
from world import World  # noqa: E402

PR_SET_PDEATHSIG = 1


def options():
    parser = argparse.ArgumentParser(description="A Kaggle for tests, on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", help="a JSON file: modes, runs, faults, users, datasets, competitions, kernels, clock")
    parser.add_argument("--port-file", help="the port is written here too, once it can be used")
    parser.add_argument("--with-parent", action="store_true", help="ends when its parent does")
    return parser.parse_args()


def die_with_parent(parent):
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def new_world(script=None):
    world = World()
    world.apply(seeds.START)
    if script:
        with open(script, encoding="utf-8") as f:
            world.apply(json.load(f))
    return world


def write_port(path, port):
    with open(path + ".part", "w", encoding="ascii") as f:
        f.write(f"{port}\n")
    os.replace(path + ".part", path)


def main():
    parent = os.getppid()
    args = options()
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    if args.with_parent:
        die_with_parent(parent)
    fake = Fake(new_world(args.script), args.port)
    fake.start()
    if args.port_file:
        write_port(args.port_file, fake.port)
    print(fake.port, flush=True)
    fake.run(over)
    fake.close()


if __name__ == "__main__":
    main()
