"""The service at work, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scene import Scene

from uncnn.daemon.control.address import connected

SERVICE = Path(__file__).parent / "spawned" / "stub_service.py"
PATIENCE_SECONDS = 240.0  # a machine that does much else


def descendants(process: int) -> set[int]:
    """Return all processes below one; whichever of its threads started them."""
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
        direct = {int(each) for thread in threads for each in (thread / "children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return set()
    return direct | {each for child in direct for each in descendants(child)}


def is_reachable() -> bool:
    """Return whether the service of this test's state folder takes connections: its socket is there a little before."""
    with suppress(OSError):
        connected().close()
        return True
    return False


class Running:
    """The service at work on a scene; what is left of it when the scene is closed is ended."""

    def __init__(self, scene: Scene, **environment: str) -> None:
        self.scene = scene
        self.environment = environment
        self.log = scene.root / "log"
        self.start()

    def start(self) -> None:
        environment = {
            **os.environ,
            "UNCNN_STATE": str(self.scene.state),
            "XDG_DATA_HOME": str(self.scene.root / "data"),
            **self.environment,
        }
        command = [sys.executable, str(SERVICE), str(self.scene.root / "config.yaml")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.scene.services.append(self.process)

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the service ended: {self.said()}"
            assert time.monotonic() < deadline, f"too late: {self.said()}"
            time.sleep(0.05)

    def until_said(self, words: str) -> None:
        self.until(lambda: words in self.said())

    def until_published(self, *names: str) -> None:
        """Wait until the photos are out, and no temporary file of one is left."""

        def out() -> bool:
            there = self.scene.published()
            return set(names) <= set(there) and not any(name.endswith(".part") for name in there)

        self.until(out)

    def said(self) -> str:
        return self.log.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
