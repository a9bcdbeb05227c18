"""A kill and an attack that lies, in the real service with the models that come with it; test_models.py blinds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bad_attacks import install
from PIL import Image
from running import descendants

from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.plugins.recognisers.cards import sha256_of

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
PATIENCE_SECONDS = 1200.0  # a machine that does much else


class Home:
    """A person's home with two watched folders: one for an attack that works, one for one that lies."""

    def __init__(self, root: Path, attack: str = "pgd", unprotected: str = "hold") -> None:
        skimage = pytest.importorskip("skimage")
        self.root, self.watch, self.publish = root, root / "in", root / "out"
        self.face = Image.fromarray(skimage.data.astronaut()).crop((100, 0, 356, 256))
        self.watch.mkdir()
        policy = f"{{attack: {{name: {attack}}}, escalate: [], unprotected: {unprotected}}}"
        folders = f"[{{watch: {self.watch}, publish: {self.publish}, settle_seconds: 0.2}}]"
        (root / "config.yaml").write_text(f"device: cpu\nfolders: {folders}\npolicies: {{everyday: {policy}}}\n")

    def put(self, name: str) -> None:
        """Put a photo of the face into the watched folder; the corner makes each another one."""
        photo = self.face.copy()
        photo.putpixel((0, 0), (len(list(self.watch.iterdir())), 0, 0))
        photo.save(self.root / "put.png")
        (self.root / "put.png").replace(self.watch / name)

    @contextmanager
    def service(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        own = {"HOME": str(self.root), "UNCNN_STATE": str(self.root / "state"), "UNCNN_MODELS": str(self.root / "none")}
        own["XDG_DATA_HOME"] = str(self.root / "data")
        with (self.root / "log").open("ab") as log:
            command = [PROGRAM, "run", "--config", self.root / "config.yaml"]
            process = subprocess.Popen(command, env={**os.environ, **own, **environment}, stdout=log, stderr=log)
        try:
            yield process
            process.terminate()
            assert process.wait(240) == 0
        finally:
            process.kill()
            process.wait()

    def job(self, name: str) -> Job | None:
        if not (self.root / "state" / "ledger.sqlite3").exists():
            return None
        with Ledger(self.root / "state" / "ledger.sqlite3") as ledger:
            return next((job for job in ledger.jobs() if job.relative.name == name), None)

    def until(self, name: str, *states: State) -> Job:
        """Wait until a photo is in one of these states, and return its job."""
        wait_until(lambda: (job := self.job(name)) is not None and job.state in states, self.said)
        job = self.job(name)
        assert job is not None
        return job

    def out(self) -> set[str]:
        return {path.name for path in self.publish.iterdir()} if self.publish.exists() else set()

    def said(self) -> str:
        return (self.root / "log").read_text()


def wait_until(condition: Callable[[], bool], said: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.02)


def verifier_of(service: int) -> int:
    """Return the process that has ONNX Runtime and no torch."""
    maps = {each: Path(f"/proc/{each}/maps").read_text() for each in descendants(service)}
    (found,) = (child for child, mapped in maps.items() if "onnxruntime" in mapped and "libtorch" not in mapped)
    return found


def busy_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS  # utime and stime, fields 14 and 15


def test_a_verifier_that_is_killed_while_it_judges_costs_one_attempt(tmp_path: Path) -> None:
    home = Home(tmp_path, unprotected="publish-anyway")
    with home.service() as service:
        home.put("first.png")
        assert home.until("first.png", State.PUBLISHED).attempts == 1
        verifier = verifier_of(service.pid)
        home.put("second.png")
        wait_until(lambda: any((home.root / "state" / "spool").rglob("*.candidate")), home.said)
        looked = busy_seconds(verifier)  # at the original
        wait_until(lambda: busy_seconds(verifier) > looked + 0.05, home.said)
        os.kill(verifier, signal.SIGKILL)
        job = home.until("second.png", State.RETRY)
        assert job.attempts == 1
        assert "the verifier ended unexpectedly (signal SIGKILL" in job.reason
        assert home.out() == {"first.png"}
        job = home.until("second.png", State.PUBLISHED)
        assert job.attempts == 2
        assert sha256_of(home.publish / "second.png") == job.released_sha256


def test_an_attack_that_changes_nothing_and_blinds_the_worker_releases_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path, attack="lies")
    plugins = install(tmp_path / "plugins", {"lies": "bad_attacks:Liar"})
    with home.service(PYTHONPATH=str(plugins)):
        home.put("first.png")
        first = home.until("first.png", State.HELD)
        assert "1 of 1 face not protected" in first.reason
        home.put("second.png")  # from here on the worker's detector finds no face
        second = home.until("second.png", State.HELD)
        assert "1 of 1 face not protected" in second.reason
        assert home.out() == set()
