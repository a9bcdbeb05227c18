"""A real Chromium that is told what to do over a pipe: it goes to pages, runs scripts in them and says what it logs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120.0
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")


def is_there() -> bool:
    return shutil.which("chromium") is not None


class Chromium:
    """A browser with one window. Use it in a `with` block."""

    def __init__(self, profile: Path, *options: str) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # the browser reads its descriptor 3 and writes 4, wherever the pipes are here
        shell = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec chromium "$@"'
        command = ["bash", "-c", shell, "chromium", *OPTIONS, *options, f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, pass_fds=[theirs_in, theirs_out], stdout=quiet, stderr=quiet)
        os.close(theirs_in)
        os.close(theirs_out)
        self._read, self._number, self._session = b"", 0, ""
        self.logged: list[str] = []  # what it says of violations and errors
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return what the browser answers to a command of its protocol."""
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, (method, said)
                return dict(said["result"])
            if said.get("method") == "Log.entryAdded":
                self.logged.append(said["params"]["entry"]["text"])

    def go(self, address: str) -> None:
        """Go to a page, and wait until it is whole."""
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page, once it is there."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return done["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression in the page holds; between two pages it does not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.run(condition) is not True:
            assert time.monotonic() < deadline, condition
            time.sleep(0.05)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._in)
        os.close(self._out)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            part = os.read(self._in, 1 << 20)
            assert part, "the browser ended"
            self._read += part
        said, _, self._read = self._read.partition(b"\0")
        return dict(json.loads(said))
