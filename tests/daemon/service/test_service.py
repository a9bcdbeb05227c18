"""The service: a real process, real files and signals, with processes that do what a photo says in words."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from running import PATIENCE_SECONDS, Running, is_reachable
from scene import Scene

from uncnn.daemon.commands.status import print_status
from uncnn.daemon.ledger import State
from uncnn.daemon.output import BAD_CONFIGURATION, ERROR


@pytest.fixture
def running(scene: Scene) -> Running:
    scene.configure(settle=0.3)
    return Running(scene)


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


def test_a_file_that_is_still_written_is_left_until_it_has_settled(scene: Scene) -> None:
    scene.configure(settle=1.5)
    running = Running(scene)
    running.until((scene.state / "ledger.sqlite3").exists)
    written = []
    with (scene.watch / "slow.jpg").open("w") as writer:
        for _ in range(8):
            writer.write("part ")
            writer.flush()
            written.append(time.monotonic())
            time.sleep(0.25)
    running.until_published("slow.jpg")
    if max(after - before for before, after in pairwise(written)) > 1.2:
        pytest.skip("the machine is too busy to write a file steadily")
    assert scene.published() == {"slow.jpg": "cloaked " + "part " * 8}
    assert scene.looked() == 1
    assert running.stop() == 0


def test_sigterm_gives_the_photo_back_and_does_not_wait_for_it(running: Running) -> None:
    running.scene.put("slow.jpg", "slow")
    running.until(lambda: running.scene.looked() == 1)
    assert running.stop() == 0  # the photo would take ten minutes
    job = running.scene.jobs()["slow.jpg"]
    assert (job.state, job.attempts) == (State.QUEUED, 0)
    assert list((running.scene.state / "spool").iterdir()) == []


def test_a_photo_that_changes_while_it_is_waited_for_is_taken_as_it_is_then(running: Running) -> None:
    running.scene.put("held.jpg", "unprotected")
    running.until_said("held.jpg: held")
    running.scene.put("held.jpg", "good")
    running.until_published("held.jpg")
    assert running.scene.published() == {"held.jpg": "cloaked good"}


@pytest.mark.slow
def test_a_folder_that_vanishes_is_blocked_and_taken_up_when_it_comes_back(running: Running) -> None:
    scene = running.scene
    scene.put("1.jpg", "good")
    running.until_published("1.jpg")
    shutil.rmtree(scene.watch)
    running.until_said("blocked: watched folder")
    scene.watch.mkdir()
    running.until_said("available again")
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
    scene.put("2.jpg.part", "good").replace(other / "2.jpg")
    running.until((scene.root / "other-out" / "2.jpg").exists)
    assert running.stop() == 0


def test_sighup_at_time_zero_does_not_end_it(scene: Scene) -> None:
    scene.configure(settle=0)
    running = Running(scene)
    running.until((scene.state / "run.lock").exists)
    running.process.send_signal(signal.SIGHUP)
    scene.put("1.jpg", "good")
    running.until_published("1.jpg")


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


@pytest.mark.slow
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
    running.scene.put("last.jpg", "good")
    running.until_published("last.jpg", *(f"{number}.jpg" for number in range(20)))
    assert running.stop() == 0
    running.scene.check()
    assert len(running.scene.published()) == 21


def test_systemd_hears_of_it_when_it_is_ready_alive_and_ends(scene: Scene) -> None:
    scene.configure(settle=0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(scene.root / "notify"))
        listening.settimeout(PATIENCE_SECONDS)
        running = Running(scene, NOTIFY_SOCKET=str(scene.root / "notify"), WATCHDOG_USEC="600000")
        heard: list[str] = []
        while "READY=1" not in "".join(heard):
            heard.append(listening.recv(4096).decode())
        assert (scene.state / "ledger.sqlite3").exists()
        while sum("WATCHDOG=1" in each for each in heard) < 3:  # a third of what systemd wants, each
            heard.append(listening.recv(4096).decode())
        running.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in heard[-1]:  # who does not read would have it wait
            heard.append(listening.recv(4096).decode())
        assert running.process.wait(PATIENCE_SECONDS) == 0


def test_what_is_out_stays_out_under_a_new_policy_until_it_is_asked_for(running: Running) -> None:
    scene = running.scene
    scene.put("a.jpg", "good")
    running.until_published("a.jpg")
    scene.configure(policy="{output: {name: '{stem} new{suffix}'}}", settle=0.3)
    running.process.send_signal(signal.SIGHUP)
    running.until_said("reloaded")
    scene.put("b.jpg", "good")
    running.until_published("b new.jpg")
    assert set(scene.published()) == {"a.jpg", "b new.jpg"}
    program = Path(sys.executable).with_name("uncnn-daemon")
    command = [program, "scan", "--reprocess"]
    subprocess.run(command, env={**os.environ, "UNCNN_STATE": str(scene.state)}, check=True)
    running.until_published("a new.jpg")
    assert running.stop() == 0
    assert set(scene.published()) == {"a.jpg", "b new.jpg", "a new.jpg"}


def test_a_reload_that_is_refused_degrades_the_status(running: Running) -> None:
    scene = running.scene
    running.until((scene.state / "run.lock").exists)
    (scene.root / "config.yaml").write_text("policies: {everyday: {no_face: never}}\n")
    program = Path(sys.executable).with_name("uncnn-daemon")
    environment = {**os.environ, "UNCNN_STATE": str(scene.state)}
    running.until(is_reachable)
    answer = subprocess.run([program, "reload"], env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == BAD_CONFIGURATION
    assert "was not reloaded" in answer.stderr
    assert "policies.everyday.no_face" in answer.stderr
    running.until_said("was not reloaded")

    def status() -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, "status"], env=environment, capture_output=True, text=True, check=False)

    running.until(lambda: status().returncode == 4)
    assert "policies.everyday.no_face" in status().stdout


def test_a_photo_that_cannot_be_read_is_named_until_it_can(scene: Scene) -> None:
    scene.configure(settle=0)
    failing = scene.root / "failing"
    failing.touch()
    fail = f"uncnn.daemon.files.spool:_copied {errno.EACCES}"
    running = Running(scene, STUB_FAIL=fail, STUB_FAILING=str(failing))
    scene.put("a.jpg", "good")
    running.until_said("not taken")
    failing.unlink()
    running.process.send_signal(signal.SIGUSR1)
    running.until_published("a.jpg")
    assert running.stop() == 0


def children(running: Running) -> set[str]:
    command = ["pgrep", "-P", str(running.process.pid)]
    return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.split())


def with_service(scene: Scene, words: str) -> Running:
    scene.configure(settle=0)
    with (scene.root / "config.yaml").open("a") as writer:
        writer.write(f"service: {{{words}}}\n")
    return Running(scene)


@pytest.mark.slow
def test_a_worker_that_hangs_is_killed_and_the_others_go_on(scene: Scene) -> None:
    running = with_service(scene, "deadline_seconds: 5.0")
    scene.put("1 slow.jpg", "slow")
    running.until_said("did not answer in 5 s and was stopped")
    slow = scene.jobs()["1 slow.jpg"]
    assert (slow.state, slow.attempts) == (State.RETRY, 1)
    (scene.root / "data" / "uncnn" / "loading seconds").write_text("12")
    scene.put("2 good.jpg", "good")  # the time to load the models anew is not its own
    running.until_published("2 good.jpg")
    assert scene.jobs()["2 good.jpg"].attempts == 1
    assert running.stop() == 0


def test_a_photo_is_done_under_the_policy_that_holds_when_its_turn_comes(scene: Scene) -> None:
    (scene.root / "data" / "uncnn").mkdir(parents=True)
    (scene.root / "data" / "uncnn" / "loading seconds").write_text("3")
    scene.configure(settle=0)
    running = Running(scene)
    scene.put("1.jpg", "good")
    scene.put("2.jpg", "no face")
    running.until(lambda: (scene.state / "ledger.sqlite3").exists() and bool(scene.jobs()))  # both are waiting
    (scene.watch / ".uncnn.yaml").write_text("no_face: hold\n")
    running.until(lambda: {job.state for job in scene.jobs().values()} >= {State.PUBLISHED, State.HELD})
    assert scene.published() == {"1.jpg": "cloaked good"}
    assert running.stop() == 0


def test_a_thread_that_ends_ends_the_service(scene: Scene) -> None:
    failing = scene.root / "failing"
    failing.touch()
    where = "uncnn.daemon.service.worker_thread:recover 5"
    running = Running(scene, STUB_FAIL=where, STUB_FAILING=str(failing))
    assert running.process.wait(PATIENCE_SECONDS) == ERROR
    assert "a thread that works on photos has ended" in running.said()


def test_the_processes_are_started_anew_after_some_photos(scene: Scene) -> None:
    running = with_service(scene, "recycle_after: 2")
    scene.put("1.jpg", "good 1")
    running.until_published("1.jpg")
    first = children(running)
    scene.put("2.jpg", "good 2")
    running.until_published("2.jpg")
    scene.put("3.jpg", "good 3")
    running.until_published("3.jpg")
    assert not {child for child in first & children(running) if "tracker" not in command_of(child)}
    assert running.stop() == 0
    scene.check()


def command_of(process: str) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()


def test_it_says_what_it_watches_and_what_it_passes_over(running: Running) -> None:
    scene = running.scene
    scene.put("a.jpg", "good")
    running.until_published("a.jpg")
    running.until_said("models loaded on stub: attacked stub; judges stub")
    said = running.said()
    assert f"watching {scene.watch}: cloaked copies go to {scene.publish}, under policy everyday\n" in said
    assert (
        "ignored: hidden and unfinished files (*.part, *.crdownload, ...), and files that are neither photos nor"
        in said
    )
    assert "Ctrl-C" not in said, "no terminal: nobody presses a key"
    assert running.stop() == 0


def test_without_a_folder_it_says_how_to_get_one(scene: Scene) -> None:
    (scene.root / "config.yaml").write_text("version: 1\n")
    running = Running(scene)
    running.until_said(f"no folder is watched: add folders to {scene.root}/config.yaml, then run uncnn-daemon reload")
    assert running.stop() == 0


@pytest.mark.slow
def test_the_status_says_that_models_are_being_loaded(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    log = scene.root / "data" / "uncnn"
    log.mkdir(parents=True)
    (log / "loading seconds").write_text("30")
    running = Running(scene)
    running.until((scene.state / "ledger.sqlite3").exists)
    running.until(lambda: "waiting for the first photo; the models are loaded then" in status_of(capsys))
    scene.put("a.jpg", "good")
    running.until(lambda: f"now: {scene.watch}/a.jpg: loading the models" in status_of(capsys))
    assert running.stop() == 0


def test_the_status_says_which_model_the_service_does_not_trust(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    unsound = scene.root / "data" / "uncnn" / "unsound"
    unsound.parent.mkdir(parents=True)
    unsound.touch()
    scene.put("a.jpg", "good")
    running = Running(scene)
    running.until(lambda: "failed by stub: stub links two strangers" in status_of(capsys))
    assert scene.published() == {}
    unsound.unlink()
    running.process.send_signal(signal.SIGHUP)  # it tries again at once
    running.until_published("a.jpg")
    running.until(lambda: "passed by stub" in status_of(capsys))
    assert "failed by" not in status_of(capsys)
    assert running.stop() == 0


def status_of(capsys: pytest.CaptureFixture[str]) -> str:
    print_status(as_json=False)
    return capsys.readouterr().out
