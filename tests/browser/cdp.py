"""Just enough of the DevTools protocol to drive a headless Chromium, over pipes, standard library only."""
import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time


def find_chromium():
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if shutil.which(name):
            return shutil.which(name)
    return None


class Browser:
    """One browser with one page. Use as a context manager."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="kexec-browser-")
        to_r, self.to = os.pipe()
        self.back, back_w = os.pipe()
        # The protocol is spoken on descriptors 3 and 4, and both ends above may have just those numbers.
        high = [os.dup2(fd, n) for fd, n in ((to_r, 60), (back_w, 61))]
        for fd in high:
            os.set_inheritable(fd, True)
        argv = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                "--no-first-run", "--disable-extensions", "--disable-background-networking",
                "--hide-scrollbars", "--user-data-dir=" + self.profile, "about:blank"]
        launch = ("import os, sys; os.dup2(60, 3); os.dup2(61, 4); os.closerange(60, 62);"
                  " os.execv(sys.argv[1], sys.argv[1:])")
        self.process = subprocess.Popen(
            [sys.executable, "-c", launch] + argv,
            pass_fds=high, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        for fd in [to_r, back_w] + high:
            os.close(fd)
        self.pending, self.events, self.last_id, self.session = b"", [], 0, None
        try:
            self.attach()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def attach(self):
        self.target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def close(self):
        try:
            self.session = None
            self.call("Browser.close", timeout=5)
        except (OSError, TimeoutError, RuntimeError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, timeout=60, **params):
        self.last_id += 1
        wanted = self.last_id
        message = {"id": wanted, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        end = time.monotonic() + timeout
        while True:
            answer = self.receive(end)
            if answer.get("id") == wanted:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def receive(self, end):
        while b"\0" not in self.pending:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.back], [], [], left)[0]:
                raise TimeoutError("no answer from the browser")
            data = os.read(self.back, 1 << 16)
            if not data:
                raise RuntimeError("the browser is gone")
            self.pending += data
        line, self.pending = self.pending.split(b"\0", 1)
        message = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message

    # What the tests use.

    def complaints(self):
        """Texts of errors and warnings on the console, of policy violations too, since the last call."""
        self.js("1")  # what was said before is here now
        texts = [e["params"]["entry"]["text"] for e in self.events if e["method"] == "Log.entryAdded"]
        texts += [str(e["params"]["exceptionDetails"]) for e in self.events
                  if e["method"] == "Runtime.exceptionThrown"]
        self.events.clear()
        return texts

    def js(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression, timeout=60):
        """Wait until the expression is true; a page between two documents is just not yet."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                if self.js(expression):
                    return
            except RuntimeError:
                pass
            time.sleep(0.05)
        raise TimeoutError("never true: " + expression)

    def open(self, url):
        self.call("Page.navigate", url="about:blank")
        self.until("location.href === 'about:blank'")
        self.call("Page.navigate", url=url)
        self.until("location.protocol === 'file:' && document.readyState === 'complete'")

    def screen(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, path):
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        with open(path, "wb") as out:
            out.write(data)
        return data

    def type(self, text):
        self.call("Input.insertText", text=text)
