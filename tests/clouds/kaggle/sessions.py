"""One run of one version: queued, running, over. Scripted, or by really running the code."""
import base64
import json
import secrets

from clock import iso
from execute import Execution
from storage import Bytes, Pattern

LIMITS = {"cpu": 12 * 3600, "gpu": 12 * 3600, "tpu": 9 * 3600}
TOO_LONG = "Your notebook was stopped because it exceeded the max allowed execution duration."
ACTIVE = ("QUEUED", "RUNNING", "CANCEL_REQUESTED")
SCRIPTED = ("log", "outputs", "status")


class Session:
    def __init__(self, world, user, version, behaviour):
        self.world, self.user, self.version, self.behaviour = world, user, version, behaviour
        self.id = secrets.randbelow(10**8) + 10**8
        self.accelerator = version.accelerator
        self.status, self.failure = "QUEUED", None
        self.pushed_at = world.clock.now()
        self.start_at = self.pushed_at + behaviour["queue_seconds"]
        self.started_at = self.ended_at = self.cancelled_at = None
        self.execution, self.result = None, None
        self.events, self.written, self.scripted_outputs = [], [], []
        self.streams = 0

    # ---- The clock ----

    def settle(self, now):
        if self.status == "QUEUED" and now >= self.start_at:
            self.begin()
        if self.status == "CANCEL_REQUESTED" and now >= self.cancelled_at + self.behaviour["cancel_seconds"]:
            self.end("CANCEL_ACKNOWLEDGED", None, self.cancelled_at + self.behaviour["cancel_seconds"])
        if self.status == "RUNNING":
            self.settle_running(now)

    def settle_running(self, now):
        limit = self.started_at + min(self.version.timeout or LIMITS[self.accelerator], LIMITS[self.accelerator])
        over = self.over_at(now)
        if over is not None and over <= min(now, limit):
            self.end(*self.verdict(), over)
        elif now >= limit:
            self.end("ERROR", TOO_LONG, limit)

    def over_at(self, now):
        """When it ends by itself, None while that is open."""
        planned = self.started_at + self.planned_seconds()
        if self.execution is None:
            return planned
        return None if self.result is None else max(planned, self.result[1])

    def planned_seconds(self):
        """At least so long: as the script says, else until its last line."""
        return self.behaviour.get("run_seconds", 0.0 if self.execution else max([e[0] for e in self.events], default=0.0))

    def verdict(self):
        if self.execution is None:
            return self.behaviour.get("status", "COMPLETE"), self.behaviour.get("failure_message")
        status = "COMPLETE" if self.result[0] == 0 else "ERROR"
        return self.behaviour.get("final", status), self.behaviour.get("failure_message")

    def begin(self):
        self.status, self.started_at = "RUNNING", self.start_at
        if self.version.fault:
            self.events = [[0.5, "stderr", line + "\n"] for line in self.version.fault.split("\n")]
            self.behaviour = {**self.behaviour, "run_seconds": 1.0, "status": "ERROR"}
            return
        if self.scripted():
            self.events = [event_of(e) for e in self.behaviour.get("log", [])]
            return
        self.execution = Execution(self.world, self, self.version.text, self.version.kernel_type,
                                   self.version.inputs(), self.world.modes["execute_limit"])

    def scripted(self):
        runs = self.behaviour.get("execute", not any(k in self.behaviour for k in SCRIPTED))
        return not runs or self.version.language != "python"

    def end(self, status, failure, at):
        self.status, self.failure, self.ended_at = status, failure, at
        self.kill()
        if self.execution is None:
            self.events = [e for e in self.events if e[0] <= at - self.started_at + 0.001]
        self.scripted_outputs = expand(self.behaviour.get("outputs", []))

    @property
    def outputs(self):
        return self.written + self.scripted_outputs

    def kill(self):
        if self.execution:
            self.execution.kill()

    def cancel(self):
        if self.status == "QUEUED":
            self.end_unstarted()
        elif self.status == "RUNNING":
            self.status, self.cancelled_at = "CANCEL_REQUESTED", self.world.clock.now()
            self.kill()

    def end_unstarted(self):
        self.status, self.started_at = "CANCEL_ACKNOWLEDGED", None
        self.ended_at = self.world.clock.now()

    # ---- What the execution tells ----

    def add_event(self, stream, data):
        with self.world.lock:
            if self.status in ACTIVE:
                self.events.append([self.world.clock.now() - self.started_at, stream, data])

    def finished(self, status, outputs):
        with self.world.lock:
            self.written = outputs
            self.result = (status, self.world.clock.now())

    # ---- Asked ----

    def active(self):
        return self.status in ACTIVE

    def holds_slot(self, now):
        return self.active() or (self.ended_at or 0) + self.world.modes["slot_lag"] > now

    def seconds(self, now, since=None):
        """Billed so far: wall clock from start to end."""
        if self.started_at is None:
            return 0.0
        end = now if self.ended_at is None else self.ended_at
        return max(0.0, end - max(self.started_at, since or 0))

    def log_now(self):
        """Events that have happened by now."""
        if self.started_at is None:
            return []
        if self.execution or not self.active():
            return list(self.events)
        now = self.world.clock.now() - self.started_at
        return [e for e in self.events if e[0] <= now]

    def stored_log(self):
        events = [event_json(e) for e in self.log_now()]
        mode = self.behaviour.get("log_mode", self.world.modes["log"])
        if mode == "empty":
            return ""
        if mode == "text":
            return "".join(e[2] for e in self.log_now())
        whole = "[" + "\n,".join(events) + "\n]" if events else "[]"
        return whole[:len(whole) * 2 // 3] if mode == "cut" else whole

    def summary(self, now):
        kernel = self.version.kernel
        return {"owner": kernel.owner, "slug": kernel.slug, "version": self.version.number, "id": self.id,
                "token": self.version.token, "status": self.status, "accelerator": self.accelerator,
                "pushed": iso(self.pushed_at), "started": iso(self.started_at), "ended": iso(self.ended_at),
                "seconds": round(self.seconds(now), 3)}


def event_of(spec):
    """A scripted log line: text, [time, text], [time, stream, text], or {time, stream_name, data} with its own line ends."""
    if isinstance(spec, str):
        spec = [0.0, spec]
    if isinstance(spec, dict):
        return [spec.get("time", 0.0), spec.get("stream_name", "stdout"), spec.get("data", "")]
    time, stream, data = (spec[0], "stdout", spec[1]) if len(spec) == 2 else spec
    return [float(time), stream, data + "\n"]


def event_json(event):
    return json.dumps({"stream_name": event[1], "time": round(event[0], 6), "data": event[2]})


def expand(specs):
    """Scripted outputs as (name, content); names are as the script has them, however bad."""
    found = []
    for spec in specs:
        if "count" in spec:
            width = len(str(spec["count"] - 1))
            content = content_of(spec)
            found += [(f"{spec.get('prefix', 'out/f')}{n:0{width}d}{spec.get('suffix', '.txt')}", content)
                      for n in range(spec["count"])]
        else:
            found.append((spec["name"], content_of(spec)))
    return found


def content_of(spec):
    if "base64" in spec:
        return Bytes(base64.b64decode(spec["base64"]))
    if "link" in spec:
        return Link(spec["link"])
    if "size" in spec:
        return Pattern(spec["size"], spec.get("sent"))
    return Bytes(spec.get("text", "").encode())


class Link(Bytes):
    """A symbolic link: as a link in a zip, as its text when it is downloaded alone."""

    def __init__(self, target):
        super().__init__(target.encode())
