"""The service: a real process, real files and signals, with processes that do what a photo says in words."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Running
from scene import Scene

from uncnn.daemon.ledger import State


@pytest.fixture
def running(scene: Scene) -> Iterator[Running]:
    scene.configure(settle=0.3)
    made = Running(scene)
    yield made
    made.kill()


def test_what_comes_is_published_whatever_way_it_came(running: Running) -> None:
    scene = running.scene
    scene.put("there before.jpg", "good")
    running.until_published("there before.jpg")
    scene.put("written.jpg", "good")
    scene.put("half.jpg.part", "good").rename(scene.watch / "renamed.jpg")
    outside = scene.root / "tree"
    for number in range(3):
        (outside / str(number)).mkdir(parents=True)
        (outside / str(number) / "deep.jpg").write_text(f"good {number}")
    outside.rename(scene.watch / "tree")
    (scene.root / "linked.jpg").write_text("good")
    os.link(scene.root / "linked.jpg", scene.watch / "linked.jpg")
    running.until_published("written.jpg", "renamed.jpg", "linked.jpg", *(f"tree/{n}/deep.jpg" for n in range(3)))
    assert running.stop() == 0
    scene.check()


def test_a_file_that_is_still_written_is_left_until_it_has_settled(running: Running) -> None:
    photo = running.scene.watch / "slow.jpg"
    for _ in range(5):
        with photo.open("a") as writer:
            writer.write("part ")
        time.sleep(0.2)
    running.until_published("slow.jpg")
    assert running.scene.published() == {"slow.jpg": "cloaked " + "part " * 5}
    assert running.scene.looked() == 1


def test_sigterm_gives_the_photo_back_within_ten_seconds(running: Running) -> None:
    running.scene.put("slow.jpg", "slow")
    running.until(lambda: running.scene.looked() == 1)
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 10
    job = running.scene.jobs()["slow.jpg"]
    assert (job.state, job.attempts) == (State.QUEUED, 0)
    assert list((running.scene.state / "spool").iterdir()) == []


def test_a_photo_that_changes_while_it_is_waited_for_is_taken_as_it_is_then(running: Running) -> None:
    running.scene.put("held.jpg", "unprotected")
    running.until_said("held.jpg: held")
    running.scene.put("held.jpg", "good")
    running.until_published("held.jpg")
    assert running.scene.published() == {"held.jpg": "cloaked good"}


def test_a_folder_that_vanishes_is_blocked_and_taken_up_when_it_comes_back(running: Running) -> None:
    scene = running.scene
    scene.put("1.jpg", "good")
    running.until_published("1.jpg")
    shutil.rmtree(scene.watch)
    running.until_said("blocked: watched folder")
    scene.watch.mkdir()
    running.until_said("taken up again")
    scene.put("2.jpg", "good")
    running.until_published("2.jpg")
    assert running.stop() == 0
    scene.check()


def test_a_configuration_is_read_again_and_a_bad_one_is_not(running: Running) -> None:
    scene = running.scene
    running.until((scene.state / "ledger.sqlite3").exists)
    (scene.root / "config.yaml").write_text("folders: [{wach: here}]\n")
    running.process.send_signal(signal.SIGHUP)
    running.until_said("did you mean 'watch'?")
    scene.put("1.jpg", "good")
    running.until_published("1.jpg")
    other = scene.root / "other"
    other.mkdir()
    scene.configure(settle=0.3, more=f", {{watch: {other}, publish: {scene.root / 'other-out'}, settle_seconds: 0}}")
    running.process.send_signal(signal.SIGHUP)
    running.until_said("reloaded")
    (other / "2.jpg").write_text("good")
    running.until((scene.root / "other-out" / "2.jpg").exists)
    assert running.stop() == 0


def test_sighup_at_time_zero_does_not_end_it(scene: Scene) -> None:
    scene.configure(settle=0)
    running = Running(scene)
    try:
        running.until((scene.state / "run.lock").exists)
        running.process.send_signal(signal.SIGHUP)
        scene.put("1.jpg", "good")
        running.until_published("1.jpg")
    finally:
        running.kill()


def test_what_a_person_releases_goes_out_at_once(running: Running) -> None:
    scene = running.scene
    scene.put("held.jpg", "unprotected")
    running.until_said("held.jpg: held")
    environment = {**os.environ, "UNCNN_STATE": str(scene.state)}
    program = Path(sys.executable).with_name("uncnn-daemon")
    subprocess.run([program, "held", "release", str(scene.watch / "held.jpg")], env=environment, check=True)
    running.until_published("held.jpg")
    answer = subprocess.run([program, "status", "--json"], env=environment, capture_output=True, text=True, check=False)
    status = json.loads(answer.stdout)
    assert status["service"]["state"] == "running"
    assert answer.returncode == 0


def test_photos_that_kill_the_worker_stop_neither_the_service_nor_the_others(running: Running) -> None:
    running.scene.put("1 kills.jpg", "kills the worker")
    running.scene.put("2 good.jpg", "good")
    running.until_published("2 good.jpg")
    assert running.scene.states()["1 kills.jpg"] is State.RETRY


def test_a_killed_service_goes_on_where_it_was(running: Running) -> None:
    for number in range(20):
        running.scene.put(f"{number}.jpg", f"good {number}")
    for _ in range(3):
        time.sleep(0.7)
        running.kill()
        running.start()
    running.until_published(*(f"{number}.jpg" for number in range(20)))
    assert running.stop() == 0
    running.scene.check()
    assert len(running.scene.published()) == 20
