"""The link on a terminal: another one whenever Enter is pressed, and a picture where other machines reach the page."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
PATIENCE_SECONDS = 120.0


class Terminal:
    """A page on a terminal of its own."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.keyboard, slave = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "HOME": str(root), "UNCNN_STATE": str(root / "state")}

        command = ["setsid", "--ctty", str(PROGRAM), "web", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, env=environment, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.said = b""

    @property
    def shown(self) -> str:
        return self.said.decode(errors="replace")

    def links(self, number: int) -> list[str]:
        """Return so many links, once they were printed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found := re.findall(r"https?://\S+(?=\r)", self.shown)) < number:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.keyboard], [], [], 0.1)[0]:
                self.said += os.read(self.keyboard, 65536)
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.keyboard)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


def test_enter_prints_another_link(terminal: Terminal) -> None:
    (first,) = terminal.links(1)
    Browser(first)
    os.write(terminal.keyboard, b"\n")
    _, second = terminal.links(2)
    assert second != first
    assert b"page-drop" in Browser(second).ask("GET", "/")
    assert "\u2588" not in terminal.shown, "another machine cannot reach it: there is nothing to draw"


def test_a_link_that_other_machines_reach_is_drawn(tmp_path: Path) -> None:
    made = Terminal(tmp_path, "--origin", "https://photos.example.org")
    (link,) = made.links(1)
    made.close()
    assert link.startswith("https://photos.example.org/enter?code=")
    assert "\u2588" in made.shown or "\u2580" in made.shown
