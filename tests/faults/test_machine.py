"""What befalls the machine: full and read-only disks, locked and damaged ledgers, two services, a wrong clock."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import PATIENCE_SECONDS, Running
from scene import Scene

from uncnn.daemon.config import Attack
from uncnn.daemon.ledger import State

pytestmark = pytest.mark.slow


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mount a small file system there, or skip."""
    folder.mkdir(exist_ok=True, parents=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_publish_folder_blocks_until_there_is_room(scene: Scene) -> None:
    with mounted(scene.publish, "size=64k"):
        (scene.publish / "ballast").write_bytes(bytes(60_000))
        running = Running(scene)
        scene.put("a.jpg", "good" * 3000)
        running.until_said("disk is full")
        assert scene.jobs()["a.jpg"].attempts == 0
        assert [path.name for path in scene.publish.iterdir()] == ["ballast"]
        (scene.publish / "ballast").unlink()
        running.until_published("a.jpg")
        assert running.stop() == 0


def test_a_full_spool_blocks_and_spends_no_attempt(scene: Scene) -> None:
    with mounted(scene.state, "size=1m,mode=0700"):
        running = Running(scene)
        running.until((scene.state / "spool").exists)
        (scene.state / "ballast").write_bytes(bytes(800_000))
        scene.put("a.jpg", "good" * 40_000)
        running.until_said("disk is full")
        assert scene.published() == {}
        (scene.state / "ballast").unlink()
        running.until_published("a.jpg")
        assert running.stop() == 0


def test_a_read_only_publish_folder_blocks_until_it_can_be_written(scene: Scene) -> None:
    with mounted(scene.publish, "size=1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(scene.publish)], check=True)
        running = Running(scene)
        scene.put("a.jpg", "good")
        running.until_said("blocked")
        assert scene.published() == {}
        subprocess.run(["mount", "-o", "remount,rw", str(scene.publish)], check=True)
        running.until_published("a.jpg")
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("uncnn.daemon.files.publish:_link", errno.EACCES),
        ("uncnn.daemon.files.publish:_link", errno.EBUSY),
        ("uncnn.daemon.files.publish:_fill", errno.EIO),
        ("uncnn.daemon.files.publish:sync_folder", errno.ENOSPC),
        ("uncnn.daemon.files.spool:_spool_file", errno.EMFILE),
    ],
)
def test_a_fault_of_the_system_blocks_and_passes(scene: Scene, place: str, number: int) -> None:
    failing = scene.root / "failing"
    failing.touch()
    running = Running(scene, STUB_FAIL=f"{place} {number}", STUB_FAILING=str(failing))
    scene.put("a.jpg", "good")
    running.until_said("blocked")
    assert all(job.attempts == 0 for job in scene.jobs().values())
    failing.unlink()
    running.until_published("a.jpg")
    running.until(lambda: scene.states() == {"a.jpg": State.PUBLISHED})
    assert running.stop() == 0
    assert scene.published() == {"a.jpg": "cloaked good"}
    scene.check()


def test_a_ledger_that_another_holds_is_waited_for(running: Running) -> None:
    scene = running.scene
    scene.put("1.jpg", "good")
    running.until_published("1.jpg")
    with sqlite3.connect(scene.state / "ledger.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        scene.put("2.jpg", "good")
        running.until_said("was locked by another process")
        running.process.send_signal(signal.SIGHUP)
        running.until_said("was not reloaded")
        other.execute("ROLLBACK")
    other.close()
    running.until_published("2.jpg")
    assert running.stop() == 0
    scene.check()


def test_a_damaged_ledger_is_said_and_left_as_it_is(scene: Scene) -> None:
    scene.state.mkdir(mode=0o700)
    ledger = scene.state / "ledger.sqlite3"
    ledger.write_bytes(b"not a database at all\n" * 100)
    before = ledger.read_bytes()
    running = Running(scene)
    assert running.process.wait(PATIENCE_SECONDS) == 1
    assert "is damaged" in running.said()
    assert ledger.read_bytes() == before


def test_two_services_at_once_are_one(running: Running) -> None:
    scene = running.scene
    running.until((scene.state / "run.lock").exists)
    time.sleep(0.5)
    second = Running(scene)
    assert second.process.wait(PATIENCE_SECONDS) == 1
    assert "already running" in second.said()
    scene.put("a.jpg", "good")
    running.until_published("a.jpg")
    assert running.stop() == 0
    scene.check()


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_that_is_set_harms_nothing(scene: Scene, years: int) -> None:
    switch = scene.root / "switch"
    running = Running(scene, STUB_CLOCK=str(years * 365 * 86400), STUB_CLOCK_SET=str(switch))
    scene.put("1.jpg", "good")
    scene.put("kills.jpg", "kills the worker")
    running.until_published("1.jpg")
    running.until_said("kills.jpg: error")
    switch.touch()
    scene.put("2.jpg", "good")
    running.until_published("2.jpg")
    job = scene.jobs()["kills.jpg"]
    running.until(lambda: attempts_of(scene, "kills.jpg") == (State.RETRY, 2))  # it is tried again, not in a year
    assert "ended unexpectedly (signal SIGKILL" in job.reason
    assert running.stop() == 0


def test_models_that_take_long_to_load_are_no_hang(scene: Scene) -> None:
    with (scene.root / "config.yaml").open("a") as writer:
        writer.write("service: {deadline_seconds: 1.0}\n")
    (scene.root / "data" / "uncnn").mkdir(parents=True)
    (scene.root / "data" / "uncnn" / "loading seconds").write_text("24")
    scene.put("a.jpg", "good")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(scene.root / "notify"))
        listening.settimeout(PATIENCE_SECONDS)
        running = Running(scene, NOTIFY_SOCKET=str(scene.root / "notify"), WATCHDOG_USEC="600000")
        while b"READY=1" not in listening.recv(4096):
            pass
        listening.settimeout(15)  # with 4 s for the photo alone it would be silent for 20
        while "a.jpg" not in scene.published():
            while b"WATCHDOG=1" not in listening.recv(4096):
                pass
        running.process.send_signal(signal.SIGTERM)
        while b"STOPPING=1" not in listening.recv(4096):  # who does not read would have it wait
            pass
        assert running.process.wait(PATIENCE_SECONDS) == 0


def attempts_of(scene: Scene, name: str) -> tuple[State, int]:
    job = scene.jobs()[name]
    return job.state, job.attempts


def test_a_verifier_that_is_killed_at_work_costs_one_attempt(running: Running) -> None:
    scene = running.scene
    at_work = scene.root / "data" / "uncnn" / "at work"
    scene.put("a.jpg", "judged for long")
    running.until(lambda: at_work.exists() and bool(at_work.read_text()))
    assert attempts_of(scene, "a.jpg") == (State.RUNNING, 1)
    os.kill(int(at_work.read_text()), signal.SIGKILL)
    running.until(lambda: attempts_of(scene, "a.jpg") == (State.RETRY, 1))
    assert "the verifier ended unexpectedly (signal SIGKILL" in scene.jobs()["a.jpg"].reason
    assert scene.published() == {}
    running.until(lambda: attempts_of(scene, "a.jpg") == (State.PUBLISHED, 2))
    assert running.stop() == 0
    assert scene.published() == {"a.jpg": "cloaked judged for long"}
    scene.check()


def test_processes_that_are_killed_while_they_wait_cost_no_attempt(running: Running) -> None:
    scene = running.scene
    scene.put("1.jpg", "good")
    running.until_published("1.jpg")
    children = subprocess.run(["pgrep", "-P", str(running.process.pid)], capture_output=True, text=True, check=True)
    assert len(children.stdout.split()) >= 2  # the worker and the verifier
    for child in children.stdout.split():
        os.kill(int(child), signal.SIGKILL)
    scene.put("2.jpg", "good")
    running.until(lambda: scene.states().get("2.jpg") is State.PUBLISHED)
    assert [scene.jobs()[name].attempts for name in ("1.jpg", "2.jpg")] == [1, 1]
    assert running.stop() == 0
    scene.check()


def test_a_plugin_that_fails_on_every_photo_stops_the_line_and_not_the_service(running: Running) -> None:
    scene = running.scene
    for number in range(6):
        scene.put(f"{number}.jpg", f"kills the worker {number}")
    running.until(lambda: sum(job.attempts for job in scene.jobs().values()) >= 3)
    program = Path(sys.executable).with_name("uncnn-daemon")

    def said() -> str:
        answer = subprocess.run([program, "status"], capture_output=True, text=True, check=False)
        return answer.stdout

    running.until(lambda: f"all photos are waiting: attack {Attack().name} failed for 3 photos in a row" in said())
    assert len(scene.jobs()) == 3
    assert running.stop() == 0
