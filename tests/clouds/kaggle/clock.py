"""The service's time: real, faster by a factor, or standing still and stepped by hand."""
import datetime
import threading
import time

WEEK = 7 * 86400
SATURDAY = 2 * 86400  # 1970-01-03 was a Saturday


def iso(seconds):
    if seconds is None:
        return None
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def from_iso(word):
    return datetime.datetime.fromisoformat(word.replace("Z", "+00:00")).timestamp()


class Clock:
    def __init__(self):
        self.lock = threading.Lock()
        self.base, self.real, self.speed = time.time(), time.monotonic(), 1.0

    def now(self):
        with self.lock:
            return self.base + (time.monotonic() - self.real) * self.speed

    def change(self, speed=None, step=0, at=None):
        """A new speed (0: stands still), a jump ahead in seconds, or a date."""
        now = self.now()
        with self.lock:
            self.base = (from_iso(at) if at else now) + step
            self.real = time.monotonic()
            self.speed = self.speed if speed is None else float(speed)

    def steer(self, what):
        self.change(what.get("speed"), what.get("step", 0), what.get("set"))

    def week(self):
        """Start of the quota's week: Saturday 00:00 UTC."""
        now = self.now()
        return now - (now - SATURDAY) % WEEK
