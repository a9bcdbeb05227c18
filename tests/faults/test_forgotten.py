"""Set and forget, as a new user has it: the sample's configuration in a home of its own, the recognisers that come with
uncnn, real photos in bursts, and kills at random. `UNCNN_FULL=1`: all photos of people and groups, ten kills.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.ledger.states import NEEDS_PERSON, SETTLED

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
SAMPLE = Path(__file__).resolve().parents[2] / "config.yaml"
FULL = bool(os.environ.get("UNCNN_FULL"))
KILLS = 10 if FULL else 3
READY_SECONDS = 300.0  # a machine that does much else
PATIENCE_SECONDS = 5400.0 if FULL else 1200.0
WATCHDOG_SECONDS = 120.0  # of the unit


class Manager:
    """What systemd is to a service: it hears when it is ready and that it is alive."""

    def __init__(self, address: Path) -> None:
        self.address = address
        self.said: list[str] = []
        self.longest_silence = 0.0
        self._alive = time.monotonic()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        threading.Thread(target=self._listen, daemon=True).start()

    def begins(self) -> dict[str, str]:
        """Return what a service that starts now finds in its environment."""
        self.said.clear()
        self._alive = time.monotonic()
        return {"NOTIFY_SOCKET": str(self.address), "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6))}

    def _listen(self) -> None:
        while True:
            words = self._socket.recv(4096).decode()
            self.said.append(words)
            if "WATCHDOG=1" in words:
                now = time.monotonic()
                self.longest_silence = max(self.longest_silence, now - self._alive)
                self._alive = now


class Home:
    """A new user's home, with the sample's configuration as it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watch, self.publish = folder / "Pictures" / "Outgoing", folder / "Pictures" / "Cloaked"
        self.watch.mkdir(parents=True)
        configuration = folder / ".config" / "uncnn" / "config.yaml"
        configuration.parent.mkdir(parents=True)
        shutil.copy(SAMPLE, configuration)
        self.manager = Manager(folder / "notify")
        self.environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
        self.log = (folder / "log").open("ab")
        self.began = 0

    def uncnn(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def start(self) -> None:
        """Start the service, every other time as systemd does."""
        managed = self.began % 2 == 0
        self.began += 1
        environment = {**self.environment, **(self.manager.begins() if managed else {})}
        self.service = subprocess.Popen(
            [PROGRAM, "run"], env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        if managed:
            self.until(lambda: any("READY=1" in words for words in self.manager.said), READY_SECONDS)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.service.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.5)

    def said(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def kill(self, draw: random.Random) -> None:
        """Kill the service, all its processes, or one of those that do the work."""
        ways = [self._kill_one_at_work, lambda: os.killpg(self.service.pid, signal.SIGKILL), self.service.kill]
        way = draw.choice(ways)
        way()
        if way is not ways[0]:
            self.service.wait(READY_SECONDS)
        if self.service.poll() is not None:
            self.start()

    def _kill_one_at_work(self) -> None:
        found = subprocess.run(["pgrep", "-P", str(self.service.pid)], capture_output=True, text=True, check=False)
        for process in found.stdout.split()[:1]:
            os.kill(int(process), signal.SIGKILL)

    def jobs(self) -> list[Job]:
        file = self.folder / ".local" / "state" / "uncnn" / "ledger.sqlite3"
        if not file.exists():
            return []
        with Ledger(file) as ledger:
            return [job for job in ledger.jobs() if job.state is not State.SUPERSEDED]


def put(photo: Path, target: Path, way: int) -> None:
    """Bring a photo into a watched folder: at once, slowly, under a name of its own until it is whole, or moved."""
    target.parent.mkdir(parents=True, exist_ok=True)
    data = photo.read_bytes()
    if way == 0:
        target.write_bytes(data)
    elif way == 1:
        with target.open("wb") as writer:
            for part in range(0, len(data), max(len(data) // 4, 1)):
                writer.write(data[part : part + max(len(data) // 4, 1)])
                writer.flush()
                time.sleep(0.3)
    else:
        unfinished = target.with_name(f"{target.name}.part") if way == 2 else target.parents[2] / "elsewhere"
        unfinished.write_bytes(data)
        unfinished.rename(target)


def bursts(photos: Sequence[Path], count: int) -> Iterable[Sequence[Path]]:
    return (photos[number::count] for number in range(count))


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.slow
def test_every_photo_ends_once_where_it_belongs_through_kills_at_random(tmp_path: Path, shared_data: Path) -> None:
    draw = random.Random(11)
    people = sorted(path for path in (shared_data / "people").rglob("*") if path.is_file())
    groups = sorted(path for path in (shared_data / "groups").iterdir() if path.is_file())
    photos = (
        [*people, *groups] if FULL else [*draw.sample(people, 4), min(groups, key=lambda path: path.stat().st_size)]
    )
    draw.shuffle(photos)
    home = Home(tmp_path)
    assert home.uncnn("config", "check").returncode == 0
    home.start()
    sources: dict[Path, str] = {}
    try:
        for burst in bursts(photos, KILLS):
            for number, photo in enumerate(burst):
                target = home.watch / photo.relative_to(shared_data)
                put(photo, target, number % 4)
                sources[target.relative_to(home.watch)] = sha256(photo)
            time.sleep(draw.uniform(2.0, 45.0))
            home.kill(draw)
        wanted = set(sources)
        home.until(lambda: {job.relative for job in home.jobs() if job.state in SETTLED} == wanted, PATIENCE_SECONDS)
        home.until(
            lambda: home.uncnn("status").returncode in {0, 4}, READY_SECONDS
        )  # the last start may be a moment ago
        status = home.uncnn("status")
        home.service.terminate()
        assert home.service.wait(120) == 0
    finally:
        home.service.kill()
    jobs = home.jobs()
    counted = Counter(job.state.value for job in jobs)
    print(f"\n{len(photos)} photos, {KILLS} kills, {home.began} starts: {dict(counted)}")
    print(f"longest silence {home.manager.longest_silence:.0f} s of {WATCHDOG_SECONDS:.0f}")
    print(status.stdout)
    check(home, jobs, sources)
    assert home.manager.longest_silence < WATCHDOG_SECONDS / 2
    assert status.returncode == (4 if set(counted) & {state.value for state in NEEDS_PERSON} else 0)
    published = [job for job in jobs if job.state is State.PUBLISHED]
    assert published
    for job in draw.sample(published, min(3, len(published))):
        assert job.published is not None
        verified = home.uncnn("verify", home.watch / job.relative, home.publish / job.published)
        assert verified.returncode == 0, verified.stdout


def check(home: Home, jobs: Sequence[Job], sources: dict[Path, str]) -> None:
    """Hold the invariants of the design against all files: each photo once, nothing else, originals as they were."""
    assert len(jobs) == len(sources)
    assert {job.relative: job.sha256 for job in jobs} == sources
    assert {path.relative_to(home.watch): sha256(path) for path in home.watch.rglob("*") if path.is_file()} == sources
    released = {job.published: job.released_sha256 for job in jobs if job.state is State.PUBLISHED}
    there = [path for path in home.publish.rglob("*") if path.is_file()]
    assert {path.relative_to(home.publish): sha256(path) for path in there} == released
    assert all(job.reason for job in jobs if job.state in NEEDS_PERSON)
    state = home.folder / ".local" / "state" / "uncnn"
    assert state.stat().st_mode & 0o777 == 0o700
    assert not [path for path in state.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not list((state / "spool").iterdir())
