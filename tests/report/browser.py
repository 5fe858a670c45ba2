"""Debian's Chromium, driven through its own debugging pipe: no driver, no network, standard library only."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAM = shutil.which("chromium")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
)


class Browser:
    """One page. `messages` are what the console, the log and the network said since the page was opened."""

    def __init__(self, write: int, read: int):
        self.out, self.into = os.fdopen(write, "wb", buffering=0), os.fdopen(read, "rb")
        self.last, self.messages, self.session = 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params) -> dict:
        """Send one command and wait for its answer; what arrives in between is kept."""
        self.last += 1
        command = {"id": self.last, "method": method, "params": params}
        command |= {"sessionId": self.session} if self.session else {}
        self.out.write(json.dumps(command).encode() + b"\0")
        while (message := self.receive()).get("id") != self.last:
            self.messages.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def receive(self) -> dict:
        data = bytearray()
        while (byte := self.into.read1(1)) != b"\0":
            if not byte:
                raise RuntimeError("chromium has gone")
            data += byte
        return json.loads(data)

    def open(
        self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> None:
        """Load a file and wait until it has finished."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.messages.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(message.get("method") == "Page.loadEventFired" for message in self.messages):
            self.messages.append(self.receive())
        self.value("1")  # whatever was said while loading has now arrived

    def value(self, expression: str):
        """What an expression is worth on the page (also while the page's own scripts are off)."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def picture(self, path: Path, *, whole: bool = False) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))["data"]
        path.write_bytes(base64.b64decode(data))

    def _clip(self, whole: bool) -> dict:
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}}

    def said(self, *methods: str) -> list[dict]:
        return [message["params"] for message in self.messages if message.get("method") in methods]

    def requests(self) -> list[str]:
        return [params["request"]["url"] for params in self.said("Network.requestWillBeSent")]


@contextmanager
def browser() -> Iterator[Browser]:
    """A fresh Chromium with a profile of its own that is thrown away."""
    commands, answers = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [PROGRAM, *FLAGS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(  # Chromium reads commands from 3 and answers on 4
            ["bash", "-c", f'exec "$@" 3<&{commands[0]} 4>&{answers[1]}', "-", *command],
            pass_fds=(commands[0], answers[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(commands[0])
        os.close(answers[1])
        page = None
        try:
            page = Browser(commands[1], answers[0])
            yield page
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if page:
                page.out.close()
                page.into.close()
