"""The state of the service: users, credentials, kernels, datasets, competitions, storage, and the log of what took effect."""
import base64
import binascii
import fnmatch
import json
import os
import re
import secrets
import shutil
import tempfile
import threading
import unicodedata

from clock import WEEK, Clock, iso
from faults import Faults
from storage import Storage

# What a script may change. The defaults are the service as it is on a good day.
MODES = {
    "omit_defaults": False,     # leave out every field that equals its default
    "omit_queued": True,        # a status reply without `status` means QUEUED
    "status_style": "upper",    # upper, lower, camel (cancelAcknowledged), number
    "source": "full",           # GetKernel: full, none (no source), stale (source of the version before)
    "stale_calls": 0,           # so many calls about a kernel after a push describe the version before it
    "hidden_calls": 0,          # so many calls after a push are answered hidden_code
    "hidden_code": 404,
    "stale_list": 0,            # so many ListKernels after a push do not show it
    "empty_pushes": 0,          # so many pushes make the title, store no version and answer 500
    "ignore_version": False,    # versionLabel is not looked at
    "gives_machine": None,      # the machine shape that is given whatever was asked
    "title_wins": True,         # a new kernel is made under the slug of its title
    "push_cancels": False,      # a push cancels the version that runs (reports differ)
    "delete_stops": False,      # deleting a kernel stops its session (unverified)
    "cancel": "ok",             # ok, denied (403), message (errorMessage)
    "session_redirect": True,   # the unofficial way to a session's id
    "gpu_slots": 2, "tpu_slots": 1, "cpu_slots": 5,
    "gpu_hours": 30.0, "tpu_hours": 20.0,
    "slot_lag": 0,              # seconds for which an ended session still holds its slot
    "quota_parts": ["gpuQuota", "tpuQuota"],
    "page_max": 200, "page_default": 500, "list_max": 100,
    "url_seconds": 604800,      # how long a signed URL lives
    "log": "full",              # full, empty, text (not JSON), cut
    "live_log_in_output": False,
    "idle_cut_seconds": 240,    # real seconds after which a silent stream is cut
    "dataset_seconds": 2.0,     # until a dataset is READY
    "dataset_fails": False,
    "titles_stay_used": False,  # a deleted dataset's title cannot be taken again
    "unpack_archives": True,
    "score_seconds": 1.0,
    "submit_lag": 0,            # seconds for which a finished notebook cannot be submitted yet
    "bearer_only": [],          # methods that refuse legacy keys
    "zip_single_files": False,  # a single file of a competition comes zipped
    "ref": "/code/{owner}/{slug}",
    "layout": "both",           # both, new, old: where inputs are mounted
    "sandbox": "auto",          # auto: /kaggle/input and /kaggle/working where that can be done; none: only KAGGLE_FAKE_*
    "execute_limit": 120,       # real seconds for code that really runs
}
RUN = {"queue_seconds": 0.3, "cancel_seconds": 5.0, "cut_after": []}
OFFICIAL_USERS = {"alice": {"id": 7, "name": "Alice", "key": "0123456789abcdef0123456789abcdef",
                            "token": "KGAT_0123456789abcdef0123456789abcdef", "refresh": "refresh-alice-1"},
                  "bob": {"id": 8, "name": "Bob", "key": "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0",
                          "token": "KGAT_b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0", "refresh": "refresh-bob-1"}}


class User:
    def __init__(self, slug, spec, number):
        self.slug, self.name = slug, spec.get("name", slug.capitalize())
        self.id = spec.get("id", number)
        self.key, self.refresh = spec.get("key"), spec.get("refresh")
        self.tokens = {spec["token"]: None} if spec.get("token") else {}  # token: valid until, or None


class World:
    def __init__(self):
        self.lock = threading.RLock()
        self.clock, self.faults = Clock(), Faults()
        self.storage = Storage(self.clock)
        self.modes, self.run_defaults, self.run_rules = dict(MODES), dict(RUN), []
        self.users, self.kernels, self.datasets, self.competitions = {}, {}, {}, {}
        self.sessions, self.submissions, self.used_titles = [], [], set()
        self.effects, self.requests, self.leaks = [], [], []
        self.next_id = 4242
        self.scratch = tempfile.mkdtemp(prefix="kaggle-fake.")

    def close(self):
        with self.lock:
            for session in self.sessions:
                session.kill()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def folder(self, name):
        path = os.path.join(self.scratch, f"{secrets.token_hex(6)}.{name}")
        os.makedirs(path)
        return path

    def number(self):
        self.next_id += 1
        return self.next_id

    # ---- Script ----

    def apply(self, script):
        """What a script file or POST /_fake/script says; keys that are absent stay as they are."""
        import seeds
        with self.lock:
            for what in script.get("reset", []):
                self.reset(what)
            unknown = set(script.get("modes", {})) - set(MODES)
            if unknown:
                raise ValueError(f"no such mode: {', '.join(sorted(unknown))}")
            self.modes.update(script.get("modes", {}))
            self.run_defaults.update(script.get("default_run", {}))
            self.run_rules[:0] = [dict(rule) for rule in script.get("runs", [])]
            self.faults.add(script.get("faults", []))
            if "clock" in script:
                self.clock.steer(script["clock"])
            seeds.plant(self, script)

    def reset(self, what):
        if what == "faults":
            self.faults.clear()
        elif what == "runs":
            self.run_rules, self.run_defaults = [], dict(RUN)
        elif what == "modes":
            self.modes = dict(MODES)
        elif what == "log":
            self.effects, self.requests, self.leaks = [], [], []
        else:
            raise ValueError(f"nothing to reset: {what}")

    def behaviour(self, owner, slug, version):
        """How the run of this version goes: the defaults and the first rule that fits."""
        for rule in self.run_rules:
            fits = fnmatch.fnmatchcase(f"{owner}/{slug}", rule.get("slug", "*"))
            if fits and rule.get("version", version) == version and rule.get("times", 1) > 0:
                if "times" in rule:
                    rule["times"] -= 1
                return {**self.run_defaults, **rule}
        return dict(self.run_defaults)

    # ---- Users ----

    def add_user(self, slug, spec):
        self.users[slug] = User(slug, spec, 100 + len(self.users))

    def user_of_token(self, token):
        now = self.clock.now()
        for user in self.users.values():
            if token in user.tokens and (user.tokens[token] is None or user.tokens[token] > now):
                return user
        return None

    def authenticate(self, header):
        """(user or None, scheme) of an Authorization header."""
        scheme, _, rest = (header or "").partition(" ")
        if scheme.lower() == "bearer":
            return self.user_of_token(rest.strip()), "bearer"
        if scheme.lower() != "basic":
            return None, "none"
        try:
            name, _, key = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None, "basic"
        user = self.users.get(name)
        return (user if user and user.key and key == user.key else None), "basic"

    def planted(self):
        """Every secret that must be seen nowhere but in an Authorization header."""
        for user in self.users.values():
            yield from [s for s in [user.key, user.refresh, *user.tokens] if s]

    # ---- The oracle ----

    def effect(self, kind, user, **fields):
        with self.lock:
            entry = {"at": iso(self.clock.now()), "effect": kind, "user": user.slug, **fields}
            self.effects.append(entry)

    def settle(self):
        """Everything that became due by the clock."""
        now = self.clock.now()
        for session in self.sessions:
            session.settle(now)
        for dataset in self.datasets.values():
            dataset.settle(now)
        for submission in self.submissions:
            submission.settle(now)

    def hours(self, user=None, since=None):
        totals = {"gpu": 0.0, "tpu": 0.0, "cpu": 0.0}
        for session in self.sessions:
            if user is None or session.user is user:
                totals[session.accelerator] += session.seconds(self.clock.now(), since) / 3600
        return totals

    def oracle(self):
        with self.lock:
            self.settle()
            return {"now": iso(self.clock.now()), "effects": self.effects, "requests": self.requests,
                    "sessions": [s.summary(self.clock.now()) for s in self.sessions], "hours": self.hours(),
                    "week_hours": self.hours(since=self.clock.week()),
                    "week_ends": iso(self.clock.week() + WEEK)}


def our_token(source):
    """The token that kexec leaves in a source: notebook metadata, or a last comment line of a script."""
    try:
        return str(json.loads(source)["metadata"]["kexec"]["token"])
    except (ValueError, KeyError, TypeError):
        pass
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    match = re.match(r"#\s*kexec\b.*?([A-Za-z0-9_-]+)$", lines[-1]) if lines else None
    return match[1] if match else None


def slugify(title):
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
