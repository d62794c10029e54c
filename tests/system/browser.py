"""A browser without a window, driven over its own protocol by a pipe: clicks and keys as a person's, and pictures."""
import base64
import json
import os
import select
import shutil
import subprocess
import time

from clients import environment
from harness import Skip, Wrong


class Browser:
    """One page of chromium. `folder` is its home; what it says of itself is thrown away."""

    def __init__(self, folder, width=1200, height=800):
        program = shutil.which("chromium")
        if not program:
            raise Skip("chromium is not installed")
        # It reads from descriptor 3 and writes to 4.
        here_in, self.to = os.pipe()
        self.of, here_out = os.pipe()
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$0" "$@" 3<&{here_in} 4>&{here_out}', program, "--headless=new", "--remote-debugging-pipe",
             "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
             f"--user-data-dir={folder}/chromium", f"--window-size={width},{height}", "about:blank"],
            pass_fds=(here_in, here_out), env=environment(folder), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(here_in)
        os.close(here_out)
        self.have, self.number, self.session = b"", 0, None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method, seconds=30, **params):
        """Calls and waits for the answer; events that come meanwhile are passed over."""
        self.number += 1
        call = {"id": self.number, "method": method, "params": params}
        if self.session:
            call["sessionId"] = self.session
        os.write(self.to, json.dumps(call).encode() + b"\0")
        until = time.monotonic() + seconds
        while True:
            while b"\0" not in self.have:
                if not select.select([self.of], [], [], max(0, until - time.monotonic()))[0]:
                    raise Wrong(f"chromium: no answer to {method} within {seconds} s")
                more = os.read(self.of, 1 << 20)
                if not more:
                    raise Wrong(f"chromium ended before it answered {method}")
                self.have += more
            answer, self.have = self.have.split(b"\0", 1)
            answer = json.loads(answer)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Wrong(f"chromium: {method}: {answer['error']}")
                return answer["result"]

    def go(self, url):
        self.ask("Page.navigate", url=url)

    def value(self, script):
        """What an expression of JavaScript is worth; None also where the page is not that far."""
        got = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return None if "exceptionDetails" in got else got["result"].get("value")

    def wait(self, script, what="", seconds=30):
        until = time.monotonic() + seconds
        while True:
            got = self.value(script)
            if got not in (None, False, 0, ""):
                return got
            if time.monotonic() > until:
                raise Wrong(f"chromium: {what or script} within {seconds} s; the page says:\n"
                            + str(self.value("document.body.innerText"))[:3000])
            time.sleep(0.05)

    def click(self, selector, count=1, frame=""):
        """In the middle of the element, once it is there. frame: a selector of the iframe that holds it."""
        inner = f"document.querySelector({json.dumps(frame)})" if frame else "null"
        x, y = self.wait(f"""(() => {{
            const f = {inner}, e = (f ? f.contentDocument : document).querySelector({json.dumps(selector)});
            if (!e) return null;
            e.scrollIntoView({{block: "nearest"}});
            const r = e.getBoundingClientRect(), o = f ? f.getBoundingClientRect() : {{x: 0, y: 0}};
            return r.width ? [o.x + r.x + r.width / 2, o.y + r.y + r.height / 2] : null;
        }})()""", f"{selector} to click")
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for n in range(1, count + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=n)

    def type(self, text):
        self.ask("Input.insertText", text=text)

    def key(self, name, code):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code,
                     text="\r" if name == "Enter" and kind == "keyDown" else "")

    def picture(self, path):
        data = base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])
        with open(path, "wb") as f:
            f.write(data)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session = None
        try:
            self.ask("Browser.close", seconds=10)
        except (Wrong, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        os.close(self.to)
        os.close(self.of)
