"""The page as a program: it says its link, ends at once when it is told, and leaves nothing behind."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from uncnn.daemon.web.server import PortError, listening

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
HEAVY = {"torch", "onnxruntime", "onnx", "numpy", "PIL", "pillow_heif", "tifffile", "rich", "httpx", "segno"}
MOST_KB = 60_000_000 // 1024
PATIENCE_SECONDS = 120.0


class Page:
    """A page of its own state folder."""

    def __init__(self, root: Path, *arguments: str, interrupts: str = "default") -> None:
        self.state = root / "state"
        environment = {
            **{key: value for key, value in os.environ.items() if key.startswith(("PATH", "COV"))},
            "HOME": str(root),
            "UNCNN_STATE": str(self.state),
        }
        hearing = ["env", f"--{interrupts}-signal=INT"]  # whatever the tests themselves were started with
        command = [*hearing, str(PROGRAM), "web", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        self.link = ""
        for line in self.process.stdout:
            if found := re.search(r"http\S+", line.decode()):
                self.link = found[0]
                break
        assert self.link, self.process.communicate()

    def answered(self, path: str, cookie: str = "") -> http.client.HTTPResponse:
        host, _, _ = self.link.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=PATIENCE_SECONDS)
        connection.request("GET", path, headers={"Cookie": cookie})
        return connection.getresponse()

    def enter(self) -> str:
        entered = self.answered("/enter" + self.link.partition("/enter")[2])
        assert entered.status == 303
        return str(entered.getheader("Set-Cookie")).partition(";")[0]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Page]:
    page = Page(tmp_path)
    yield page
    page.process.kill()
    page.process.communicate()


def test_in_the_background_an_interrupt_is_for_others(tmp_path: Path) -> None:
    page = Page(tmp_path, interrupts="ignore")
    page.process.send_signal(signal.SIGINT)
    assert page.answered("/", page.enter()).status == 200
    assert page.end(signal.SIGTERM) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_while_a_browser_listens(running: Page, number: signal.Signals) -> None:
    stream = running.answered("/events", running.enter())
    assert stream.readline() == b"retry: 1000\n"
    assert [folder.stat().st_mode & 0o777 for folder in (running.state / "spool").iterdir()] == [0o700]
    began = time.monotonic()
    assert running.end(number) in {128 + number, -number}
    assert time.monotonic() - began < PATIENCE_SECONDS / 2
    assert list((running.state / "spool").iterdir()) == []
    assert running.process.stderr is not None
    assert running.process.stderr.read() == b""


def test_what_a_killed_page_left_is_gone_at_the_next_start(running: Page, tmp_path: Path) -> None:
    (left,) = (running.state / "spool").iterdir()
    (left / "a.photo").write_bytes(b"photo")
    running.end(signal.SIGKILL)
    assert left.exists()
    again = Page(tmp_path)
    assert not left.exists()
    again.end(signal.SIGTERM)
    again.process.communicate()


def test_it_is_small_and_decodes_nothing(tmp_path: Path) -> None:
    Page(tmp_path / "first").end(signal.SIGTERM)  # whoever compiles the modules takes more
    running = Page(tmp_path / "again")
    cookie = running.enter()
    for path in ("/", "/today", "/held", "/models", "/health", "/sessions", "/state.json", "/static/page.css"):
        assert running.answered(path, cookie).status == 200, path
    mapped = Path(f"/proc/{running.process.pid}/maps").read_text()
    assert [name for name in ("torch", "onnxruntime", "numpy", "PIL", "imagecodecs") if f"/{name}/" in mapped] == []
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    running.end(signal.SIGTERM)
    assert found is not None
    assert int(found[1]) < MOST_KB


def test_it_imports_nothing_heavy() -> None:
    code = f"import sys, uncnn.daemon.web.server; print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_a_port_that_is_in_use_is_said() -> None:
    with listening(0) as taken, pytest.raises(PortError, match="choose another port with --port"):
        listening(taken.getsockname()[1])


def test_a_missing_package_is_said(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'uvicorn' else real(name, *more)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([PROGRAM, "web"], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'uncnn-daemon: uvicorn is not installed: pip install "uncnn[web]"\n'


def test_the_link_is_that_of_the_proxy_where_there_is_one(tmp_path: Path) -> None:
    page = Page(tmp_path, "--origin", "https://photos.example.org")
    assert page.link.startswith("https://photos.example.org/enter?code=")
    page.end(signal.SIGTERM)
    page.process.communicate()
