"""Fits a line by gradient descent, with nothing but Python, and reports every step.

A line `metric NAME=VALUE [step=N]` on the standard output is a metric: kexec keeps it in metrics.csv and
draws it in curve.svg. What the script leaves in its working directory are the results.
"""
import json
import os
import random

rate = float(os.environ.get("RATE", "0.3"))
steps = int(os.environ.get("STEPS", "40"))

random.seed(0)
xs = [random.uniform(-1, 1) for _ in range(200)]
ys = [3 * x + 1 + random.gauss(0, 0.1) for x in xs]

slope = offset = 0.0
for step in range(1, steps + 1):
    errors = [slope * x + offset - y for x, y in zip(xs, ys)]
    loss = sum(e * e for e in errors) / len(errors)
    print(f"metric loss={loss:.6f} step={step}", flush=True)
    slope -= rate * sum(e * x for e, x in zip(errors, xs)) / len(xs)
    offset -= rate * sum(errors) / len(xs)

print(f"y = {slope:.3f} x + {offset:.3f}")
with open("model.json", "w") as f:
    json.dump({"slope": slope, "offset": offset, "loss": loss}, f)
