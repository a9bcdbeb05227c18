"""Killed at any moment and gone on with: the same set, the same bytes, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from planned_archive import Archive
from running import descendants

from uncnn.daemon.archive.plan import read_plan
from uncnn.daemon.archive.records import Record
from uncnn.daemon.archive.stores import open_store

PROGRAM = Path(__file__).parents[1] / "spawned" / "stub_archive.py"
PATIENCE_SECONDS = 300.0
KILLS = 30 if os.environ.get("UNCNN_FULL") else 10
PHOTOS = 40


def start(archive: Archive, tmp_path: Path, *given: str, **more: str) -> subprocess.Popen[bytes]:
    own = {"UNCNN_STATE": str(tmp_path / "state"), "XDG_DATA_HOME": str(tmp_path / "data")}
    environment = {**os.environ, **own, **more}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), archive.plan, "1/1", *given],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(running: subprocess.Popen[bytes]) -> None:
    _, said = running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 0, said.decode()


def fill(archive: Archive) -> None:
    kinds = ("one {}", "unprotected {}", "damaged {}", "no face {}", "the same")
    for number in range(PHOTOS):
        archive.put(f"{number % 3}/{number}.jpg", kinds[number % len(kinds)].format(number))


def results(found: dict[str, Record]) -> dict[str, dict[str, object]]:
    """Return what became of each photo; of several with the same bytes any may be the first."""
    return {name: {**record.result(), "same_as": ""} for name, record in found.items()}


def kill_at_some_time(archive: Archive, running: subprocess.Popen[bytes], choice: random.Random, number: int) -> None:
    """Kill a process, or one that it started, once there are a few more records."""
    before, more = len(set(archive.store.keys("done/"))), choice.randint(0, 2)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while running.poll() is None and len(set(archive.store.keys("done/"))) < before + more:
        assert time.monotonic() < deadline
        time.sleep(choice.uniform(0, 0.1))
    below = sorted(descendants(running.pid))
    victim = choice.choice(below) if number % 3 == 2 and below else running.pid
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return
    if victim == running.pid:
        running.communicate(timeout=PATIENCE_SECONDS)


@pytest.mark.slow
def test_killed_many_times_all_is_done_once(archive: Archive, tmp_path: Path) -> None:
    fill(archive)
    archive.planned()
    quiet = archive.beside("quiet")
    quiet.planned()
    finish(start(quiet, tmp_path))
    choice = random.Random(20261130)
    for number in range(KILLS):
        running = start(archive, tmp_path)
        kill_at_some_time(archive, running, choice, number)
        if running.returncode is None:
            finish(running)  # it goes on without the process that it lost
        if number % 3 == 2:
            take_some_back(archive, choice)
    finish(start(archive, tmp_path))
    assert results(archive.records()) == results(quiet.records())
    assert archive.copies() == quiet.copies()
    assert archive.told(audit=True)["problems"] == []


class Way:
    """The way to a server, which is broken and mended: whatever is under way then is lost."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._begin()

    def cut(self) -> None:
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends = []

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._begin()

    def _begin(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.create_connection(self._to)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)


@pytest.mark.slow
@pytest.mark.parametrize("archive", ["s3"], indirect=True)
def test_a_store_that_goes_away_again_and_again_loses_nothing(archive: Archive, s3: str, tmp_path: Path) -> None:
    fill(archive)
    archive.planned()
    quiet = archive.beside("quiet")
    quiet.planned()
    finish(start(quiet, tmp_path))
    choice, address = random.Random(20261130), urlsplit(s3)
    way = Way(str(address.hostname), int(address.port or 0))
    endpoint = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{way.port}"}
    running = start(archive, tmp_path, **endpoint)
    for _ in range(KILLS):
        time.sleep(choice.uniform(0, 0.5))
        way.cut()
        time.sleep(choice.uniform(0, 1))
        way.mend()
        if running.poll() is not None:  # it was done, or gave the store up
            running.communicate()
            assert running.returncode in (0, 1)
            take_some_back(archive, choice)
            running = start(archive, tmp_path, **endpoint)
    running.communicate(timeout=PATIENCE_SECONDS)
    finish(start(archive, tmp_path, **endpoint))
    way.cut()
    assert results(archive.records()) == results(quiet.records())
    assert archive.copies() == quiet.copies()
    assert archive.told(audit=True)["problems"] == []


def take_some_back(archive: Archive, choice: random.Random) -> None:
    """Remove some records, so that there is more to do; their copies stay, as after a kill between the two."""
    keys = sorted({*archive.store.keys("done/"), *archive.store.keys("errors/")})
    for key in choice.sample(keys, len(keys) * 3 // 4):
        archive.store.remove(key)


@pytest.mark.slow
def test_two_at_the_same_share_at_once_do_each_photo_once(archive: Archive, tmp_path: Path) -> None:
    fill(archive)
    archive.planned()
    both = [start(archive, tmp_path), start(archive, tmp_path)]
    for running in both:
        finish(running)
    assert len(archive.records()) == PHOTOS == read_plan(archive.store).photos
    assert archive.told(audit=True)["problems"] == []


def test_ended_by_sigterm_it_leaves_nothing_half_and_goes_on(archive: Archive, tmp_path: Path) -> None:
    fill(archive)
    archive.planned()
    running = start(archive, tmp_path, "words")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while running.poll() is None and not set(archive.store.keys("done/")):
        assert time.monotonic() < deadline
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=PATIENCE_SECONDS)
    how = running.returncode, b"; the same command goes on" in said
    assert how in ((128 + signal.SIGTERM, True), (0, False)), "stopped, or done before the signal came"
    assert list((tmp_path / "state" / "spool").iterdir()) == []
    finish(start(archive, tmp_path))
    assert len(archive.records()) == PHOTOS
    assert archive.told(audit=True)["problems"] == []


def test_a_store_of_this_machine_leaves_out_what_points_outside(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(Exception, match="outside"):
        store.put("../outside", b"x")
    assert not (tmp_path / "outside").exists()
