"""What becomes of a photo in `run --once`: the real run, with processes that do what a photo says in words."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import PATIENCE_SECONDS
from scene import Scene
from stub_engine import StubEngine

from uncnn.daemon.commands.jobs import print_ignored
from uncnn.daemon.commands.status import print_status
from uncnn.daemon.files.scan import Found
from uncnn.daemon.jobs import photo_job, release
from uncnn.daemon.ledger import Ledger, State
from uncnn.daemon.output import DEGRADED, ERROR, OK
from uncnn.daemon.protect.wire import RequestError
from uncnn.daemon.watch.backlog import give_up_gone


def test_every_photo_ends_where_it_belongs_and_the_others_go_on(scene: Scene, capsys: pytest.CaptureFixture) -> None:
    scene.put("1 damaged.jpg", "damaged")
    scene.put("2 kills.jpg", "kills the worker")
    scene.put("3 held.jpg", "unprotected")
    scene.put("4 truncated.jpg", "truncated")
    scene.put("sub/5 good.jpg", "good")
    scene.put("6 nobody.jpg", "no face")
    (scene.watch / "7 link.jpg").symlink_to(scene.watch / "3 held.jpg")
    os.mkfifo(scene.watch / "8 fifo.jpg")
    scene.put("notes.txt", "no photo")
    assert scene.run() == ERROR
    assert scene.states() == {
        "1 damaged.jpg": State.QUARANTINED,
        "2 kills.jpg": State.RETRY,
        "3 held.jpg": State.HELD,
        "4 truncated.jpg": State.RETRY,
        "sub/5 good.jpg": State.PUBLISHED,
        "6 nobody.jpg": State.PUBLISHED,
    }
    assert scene.published() == {"sub/5 good.jpg": "cloaked good", "6 nobody.jpg": "cloaked no face"}
    scene.check()
    said = capsys.readouterr().out
    for words in ("cannot be read", "SIGKILL", "links the face", "cut short", "symbolic link", "FIFO"):
        assert words in said
    assert list((scene.state / "spool").iterdir()) == []


def test_a_second_run_does_nothing_and_names_what_is_held(scene: Scene, capsys: pytest.CaptureFixture) -> None:
    scene.put("good.jpg", "good")
    scene.put("held.jpg", "unprotected")
    assert scene.run() == DEGRADED
    before, looked = scene.jobs(), scene.looked()
    capsys.readouterr()
    assert scene.run() == DEGRADED
    said = capsys.readouterr().out
    assert f"held.jpg: still held {scene.jobs()['held.jpg'].id}: 1 of 1 face not protected" in said
    assert "good.jpg" not in said
    assert scene.jobs() == before
    assert scene.looked() == looked


def test_nothing_is_started_where_there_is_nothing_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("uncnn.daemon.commands.run_once.engine_for", None)
    assert scene.run() == OK
    assert "no new photos" in capsys.readouterr().out


def test_a_photo_that_was_only_touched_is_known_by_its_content(scene: Scene) -> None:
    photo = scene.put("good.jpg", "good")
    assert scene.run() == OK
    os.utime(photo, (1, 1))
    assert scene.run() == OK
    assert scene.looked() == 1
    assert list(scene.published()) == ["good.jpg"]


def test_a_photo_that_changed_is_done_again_and_what_it_waited_for_is_given_up(scene: Scene) -> None:
    scene.put("held.jpg", "unprotected")
    assert scene.run() == DEGRADED
    scene.put("held.jpg", "good now")
    assert scene.run() == OK
    assert scene.published() == {"held.jpg": "cloaked good now"}
    with Ledger(scene.state / "ledger.sqlite3") as ledger:
        assert [job.state for job in ledger.jobs()] == [State.SUPERSEDED, State.PUBLISHED]


def test_what_is_held_under_one_policy_is_tried_under_another(scene: Scene) -> None:
    scene.put("held.jpg", "unprotected")
    assert scene.run() == DEGRADED
    scene.configure("{unprotected: publish-anyway}")
    assert scene.run() == OK
    assert scene.published() == {"held.jpg": "cloaked unprotected"}


def test_a_held_photo_that_was_removed_bothers_nobody(scene: Scene) -> None:
    photo = scene.put("held.jpg", "unprotected")
    assert scene.run() == DEGRADED
    photo.unlink()
    assert scene.run() == OK
    assert scene.states() == {}


def test_a_photo_that_kills_the_worker_is_quarantined_in_the_end(scene: Scene) -> None:
    scene.put("kills.jpg", "kills the worker")
    for state in (State.RETRY, State.RETRY, State.QUARANTINED, State.QUARANTINED):
        assert scene.run() == ERROR
        assert scene.states() == {"kills.jpg": state}
    assert scene.jobs()["kills.jpg"].attempts == 3
    assert scene.looked() == 3


def test_a_file_that_was_cut_short_is_taken_when_it_is_whole(scene: Scene) -> None:
    scene.put("photo.jpg", "truncated")
    assert scene.run() == ERROR
    scene.put("photo.jpg", "whole")
    assert scene.run() == OK
    assert scene.published() == {"photo.jpg": "cloaked whole"}


def test_a_full_disk_blocks_the_folder_and_spends_no_attempt(scene: Scene, capsys: pytest.CaptureFixture) -> None:
    scene.put("1.jpg", "full disk")
    time.sleep(0.02)
    scene.put("2.jpg", "good")
    assert scene.run() == ERROR
    assert "blocked: the disk is full; free some space on it (2 of its photos are waiting" in capsys.readouterr().out
    assert [(job.state, job.attempts) for job in scene.jobs().values()] == [(State.BLOCKED, 0)]
    scene.put("1.jpg", "space again")
    assert scene.run() == OK
    assert len(scene.published()) == 2


@pytest.mark.slow
def test_a_publish_folder_that_vanished_is_not_made_again(scene: Scene, capsys: pytest.CaptureFixture) -> None:
    scene.put("1.jpg", "good")
    assert scene.run() == OK
    scene.publish.rename(scene.root / "unplugged")
    scene.put("2.jpg", "better")
    assert scene.run() == ERROR
    assert "out cannot be read: there is no such file or folder" in capsys.readouterr().out
    assert not scene.publish.exists()
    (scene.root / "unplugged").rename(scene.publish)
    assert scene.run() == OK
    assert set(scene.published()) == {"1.jpg", "2.jpg"}


def test_a_publish_folder_that_others_meddle_with_is_blocked(
    scene: Scene, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("a.jpg", "good")
    with monkeypatch.context() as patched:
        real = os.link

        def link(*arguments: Any, **named: Any) -> None:
            real(*arguments, **named)
            if arguments[1] == "a.jpg":  # not the file by which it is found out what the folder can do
                (scene.publish / "theirs").write_text("evil")
                (scene.publish / "theirs").replace(scene.publish / "a.jpg")

        patched.setattr(os, "link", link)
        assert scene.run() == ERROR
    assert "was replaced by another program while it was published" in capsys.readouterr().out
    job = scene.jobs()["a.jpg"]
    assert (job.state, job.attempts) == (State.BLOCKED, 0)
    assert scene.run() == OK
    assert scene.published() == {"a.jpg": "evil", "a (2).jpg": "cloaked good"}


def test_a_missing_watched_folder_is_said_and_the_others_go_on(scene: Scene, capsys: pytest.CaptureFixture) -> None:
    scene.configure(more=f", {{watch: {scene.root / 'gone'}, publish: {scene.root / 'out2'}}}")
    scene.put("good.jpg", "good")
    assert scene.run() == ERROR
    said = capsys.readouterr().out
    assert "gone cannot be read: there is no such file or folder" in said
    assert list(scene.published()) == ["good.jpg"]


def test_what_lies_in_a_folder_that_cannot_be_read_is_not_given_up(scene: Scene) -> None:
    scene.put("held.jpg", "unprotected")
    scene.put("sub/held.jpg", "unprotected")
    assert scene.run() == DEGRADED
    hidden = Found(Path("sub"), 0, 0, 0, 0, 0, refused="this folder cannot be read")
    with Ledger(scene.state / "ledger.sqlite3") as ledger:
        give_up_gone(ledger, ledger.jobs(), [hidden])
    assert scene.states() == {"sub/held.jpg": State.HELD}


def test_a_young_file_is_waited_for_and_a_growing_one_left_to_the_next_run(scene: Scene) -> None:
    scene.configure(settle=0.6)
    began = time.monotonic()
    photo = scene.put("photo.jpg", "first half")
    writer = subprocess.Popen(
        [sys.executable, "-c", f"import time; time.sleep(0.3); open({str(photo)!r}, 'a').write(', second half')"]
    )
    assert scene.run() == OK
    writer.wait()
    assert time.monotonic() - began >= 0.4
    if scene.states():  # the writer was late
        pytest.skip("the machine is too busy to tell")
    assert scene.run() == OK
    assert scene.published() == {"photo.jpg": "cloaked first half, second half"}


@pytest.mark.slow
def test_an_old_file_is_not_waited_for(scene: Scene) -> None:
    photo = scene.put("photo.jpg", "good")
    scene.configure(settle=3600)
    found = photo.stat()
    assert time.time() - found.st_ctime < 60
    time.sleep(1.1)
    scene.configure(settle=1)
    began = time.monotonic()
    assert scene.run() == OK
    assert scene.published()
    assert time.monotonic() - began < 60


def test_names_that_are_not_utf8_are_published_under_the_same_bytes(scene: Scene) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    scene.put(name, "good")
    assert scene.run() == OK
    assert list(scene.published()) == [name]
    scene.check()


def test_json_says_all_of_it(scene: Scene, capsys: pytest.CaptureFixture) -> None:
    scene.put("held.jpg", "unprotected")
    scene.run(as_json=True)
    first: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert first["schema_version"] == 2
    assert [photo["status"] for photo in first["photos"]] == ["held"]
    scene.run(as_json=True)
    second = json.loads(capsys.readouterr().out)
    assert (second["photos"], second["standing"][0]["state"]) == ([], "held")


SPAWNED = Path(__file__).parent / "spawned"
RUNNER = f"""
import sys
sys.path.insert(0, {str(SPAWNED)!r})
from pathlib import Path
import uncnn.daemon.commands.run_once as once
import uncnn.daemon.jobs.photo_job as photo_job
import uncnn.daemon.jobs.release as release
from stub_engine import StubEngine, stub_for
from uncnn.plugins.api import UncnnError
once.engine_for = stub_for
stage = sys.argv[2]

def stop_at(module, name, before):
    real = getattr(module, name)
    def stopped(*arguments, **named):
        answer = None if before else real(*arguments, **named)
        print("stopped", flush=True)
        import time; time.sleep(600)
    setattr(module, name, stopped)

if __name__ == "__main__":
    if stage != "-":
        name, _, when = stage.partition(" ")
        stop_at(release if name == "publish" else photo_job, name, when == "before")
    try:
        sys.exit(once.run_once(Path(sys.argv[1]), False))
    except UncnnError as error:
        sys.exit(str(error))
"""


def runner(scene: Scene, stage: str) -> subprocess.Popen[str]:
    script = scene.root / "runner.py"
    script.write_text(RUNNER)
    command = [sys.executable, str(script), str(scene.root / "config.yaml"), stage]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_killed_at(scene: Scene, stage: str) -> None:
    killed = runner(scene, stage)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "stopped\n"
    killed.kill()
    killed.communicate()


STAGES = ["snapshot before", "snapshot after", "protect before", "protect after", "publish before", "publish after"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_is_killed_anywhere_is_taken_up_and_publishes_once(scene: Scene, stage: str) -> None:
    scene.put("a.jpg", "good")
    run_killed_at(scene, stage)
    assert scene.run() == OK
    assert scene.published() == {"a.jpg": "cloaked good"}
    scene.check()
    assert list((scene.state / "spool").iterdir()) == []
    assert scene.looked() == (2 if stage in {"protect before", "protect after", "publish before"} else 1)


def test_a_photo_that_was_worked_on_when_it_was_killed_keeps_no_other_waiting(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.put("a.jpg", "good a")
    run_killed_at(scene, "protect before")
    scene.put("b.jpg", "good b")
    assert scene.run() == OK
    said = capsys.readouterr().out
    assert said.index("b.jpg: published") < said.index("a.jpg: published")


def test_what_was_released_before_a_kill_is_found_even_if_cloaking_would_differ_now(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.publish.mkdir()
    (scene.publish / "a.jpg").write_text("a stranger's file")
    scene.put("a.jpg", "good")
    run_killed_at(scene, "publish after")
    monkeypatch.setattr("uncnn.daemon.commands.run_once.engine_for", None)
    assert scene.run() == OK
    assert scene.published() == {"a.jpg": "a stranger's file", "a (2).jpg": "cloaked good"}
    assert scene.jobs()["a.jpg"].published == Path("a (2).jpg")


def test_sigterm_gives_the_photo_back_and_ends_the_processes(scene: Scene) -> None:
    scene.put("slow.jpg", "slow")
    running = runner(scene, "-")
    wait_for(lambda: scene.looked() == 1)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 128 + signal.SIGTERM
    assert [(job.state, job.attempts) for job in scene.jobs().values()] == [(State.QUEUED, 0)]
    assert list((scene.state / "spool").iterdir()) == []


@pytest.mark.slow
def test_a_second_run_at_the_same_time_is_refused(scene: Scene) -> None:
    scene.put("slow.jpg", "slow")
    first = runner(scene, "-")
    wait_for(lambda: scene.looked() == 1)
    second = runner(scene, "-")
    said = second.communicate(timeout=PATIENCE_SECONDS)[1]
    assert (second.returncode, "already running" in said) == (1, True)
    first.terminate()
    first.communicate(timeout=PATIENCE_SECONDS)


def test_the_originals_are_never_touched(scene: Scene) -> None:
    photos = [scene.put(f"{number}.jpg", words) for number, words in enumerate(("good", "unprotected", "damaged"))]
    before = [(path.read_bytes(), path.stat()) for path in photos]
    scene.run()
    after = [(path.read_bytes(), path.stat()) for path in photos]
    for (content, found), (content_now, found_now) in zip(before, after, strict=True):
        assert content == content_now
        assert (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_mode) == (
            found_now.st_ino,
            found_now.st_mtime_ns,
            found_now.st_ctime_ns,
            found_now.st_mode,
        )
    assert "cloaked good" in scene.published().values()


@pytest.mark.parametrize(("permissions", "mode"), [("private", 0o600), ("group", 0o640), ("everyone", 0o644)])
def test_times_and_permissions_are_the_policys(scene: Scene, permissions: str, mode: int) -> None:
    scene.configure(policy=f"{{output: {{times: same, permissions: {permissions}}}}}")
    os.utime(scene.put("a.jpg", "good"), ns=(10**18, 10**18))
    assert scene.run() == OK
    found = (scene.publish / "a.jpg").stat()
    assert (found.st_mode & 0o777, found.st_mtime_ns) == (mode, 10**18)


def test_what_is_not_taken_is_counted_with_its_reason(scene: Scene, capsys: pytest.CaptureFixture) -> None:
    (scene.watch / "#recycle").mkdir()
    (scene.watch / "#recycle" / "deleted.jpg").write_text("good")
    (scene.watch / "linked").symlink_to(scene.root)
    (scene.watch / "a.jxl").write_bytes(b"\xff\x0a" + bytes(20))
    (scene.watch / "without an ending").write_bytes(b"hello")
    assert scene.run() == OK
    words = "1 in a recycle bin, 1 symbolic link, 1 picture in an unsupported format, 1 not a photo"
    assert f"{scene.watch}: ignored: {words}; uncnn-daemon jobs --ignored lists them" in capsys.readouterr().out
    assert scene.run(as_json=True) == OK
    counts = {"deleted": 1, "link": 1, "unsupported": 1, "other": 1}
    assert json.loads(capsys.readouterr().out)["ignored"] == {str(scene.watch): counts}
    print_status(as_json=False)
    assert f"  ignored: {words}; uncnn-daemon jobs --ignored lists them\n" in capsys.readouterr().out
    print_status(as_json=True)
    assert json.loads(capsys.readouterr().out)["folders"][0]["ignored"] == counts
    assert print_ignored(as_json=False) == OK
    said = capsys.readouterr().out.splitlines()
    assert f"{scene.watch}/#recycle: it is in a recycle bin" in said
    assert f"{scene.watch}/linked: it is a symbolic link: put the folder itself there" in said
    assert len(said) == 4
    print_ignored(as_json=True)
    assert {each["reason"] for each in json.loads(capsys.readouterr().out)["ignored"]} == set(counts)
    shutil.rmtree(scene.watch)
    assert print_ignored(as_json=False) == ERROR
    assert "cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize("template", ["{stem}{suffix}", "{stem}-cloaked{suffix}", "mine-{stem}{suffix}"])
def test_a_name_that_would_be_too_long_is_shortened_before_any_work(scene: Scene, template: str) -> None:
    scene.configure(policy=f"{{output: {{format: jpeg, name: '{template}'}}}}")
    names = ["é" * 125 + ".png", "é" * 125 + "x.png", "a" * 251 + ".jpg"]  # 254, 255 and 255 bytes
    for number, name in enumerate(names):
        scene.put(name, f"good {number}")
    assert scene.run() == OK
    assert set(scene.states().values()) == {State.PUBLISHED}
    assert sorted(scene.published().values()) == [f"cloaked good {number}" for number in range(3)]
    assert all(len(os.fsencode(name)) <= 255 for name in scene.published())
    scene.check()


BAD = "no_face: nonsense\n"


def test_a_settings_file_that_turns_bad_midway_costs_its_own_photos_alone(
    scene: Scene, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = scene.root / "uncnn.prom"
    scene.configure()
    with (scene.root / "config.yaml").open("a") as writer:
        writer.write(f"service: {{metrics: {metrics}}}\n")
    for name in ("1.jpg", "sub/2.jpg", "3.jpg"):
        scene.put(name, f"good {name}")
        time.sleep(0.02)  # the oldest is taken first
    real, taken = photo_job.snapshot, []

    def snapshot(*arguments: Any) -> Any:
        taken.append(arguments)
        (scene.watch / "sub" / ".uncnn.yaml").write_text(BAD)
        return real(*arguments)

    monkeypatch.setattr(photo_job, "snapshot", snapshot)
    assert scene.run() == ERROR
    assert "no_face" in capsys.readouterr().out
    assert set(scene.published()) == {"1.jpg", "3.jpg"}
    assert len(taken) == 2
    assert print_status(as_json=False) == DEGRADED
    said = capsys.readouterr().out
    assert "nothing needs your attention" not in said
    assert "sub/2.jpg" in said
    measured = metrics.read_text()
    assert 'state="published"} 2.0' in measured.replace("\n", " ")
    assert "uncnn_status 4.0" in measured
    (scene.watch / "sub" / ".uncnn.yaml").unlink()
    assert scene.run() == OK
    assert set(scene.published()) == {"1.jpg", "sub/2.jpg", "3.jpg"}
    print_status(as_json=False)
    assert "nothing needs your attention" in capsys.readouterr().out


def test_a_run_that_ends_early_is_said_by_status(
    scene: Scene, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_engine: object) -> str:
        raise RequestError("model stub is not what it should be", "model")

    scene.put("a.jpg", "good")
    with monkeypatch.context() as patched:
        patched.setattr(StubEngine, "start", broken)
        with pytest.raises(RequestError):
            scene.run()
    assert print_status(as_json=False) == DEGRADED
    assert "all photos are waiting: " in capsys.readouterr().out
    assert scene.run() == OK
    print_status(as_json=False)
    assert "nothing needs your attention" in capsys.readouterr().out


@pytest.mark.parametrize("gone", ["a.jpg", "a (2).jpg"])
def test_a_photo_under_a_number_is_known_after_a_kill_though_the_names_before_are_free(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    for name in ("a.jpg", "a (2).jpg"):
        scene.publish.mkdir(exist_ok=True)
        (scene.publish / name).write_text("another's")
    scene.put("a.jpg", "good")
    with monkeypatch.context() as patched:
        patched.setattr("uncnn.daemon.jobs.release.publish", killed_after(release.publish))
        with pytest.raises(Killed):
            scene.run()
    assert scene.jobs()["a.jpg"].state is State.PUBLISHING
    (scene.publish / gone).unlink()
    cloaked = scene.cloaked()
    assert scene.run() == OK
    assert scene.states() == {"a.jpg": State.PUBLISHED}
    assert scene.jobs()["a.jpg"].published == Path("a (3).jpg")
    assert list(scene.published().values()).count("cloaked good") == 1
    assert scene.cloaked() == cloaked


def test_a_photo_that_was_published_before_a_kill_is_known_once_its_folder_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("first.jpg", "good first")
    assert scene.run() == OK
    scene.put("a.jpg", "good")
    with monkeypatch.context() as patched:
        patched.setattr("uncnn.daemon.jobs.release.publish", killed_after(release.publish))
        with pytest.raises(Killed):
            scene.run()
    (scene.publish).rename(scene.root / "unplugged")
    assert scene.run() == ERROR  # the ledger is brought in line without it
    (scene.root / "unplugged").rename(scene.publish)
    cloaked = scene.cloaked()
    assert scene.run() == OK
    assert scene.states() == {"first.jpg": State.PUBLISHED, "a.jpg": State.PUBLISHED}
    assert set(scene.published()) == {"first.jpg", "a.jpg"}
    assert scene.cloaked() == cloaked
    scene.check()


class Killed(BaseException):
    """Ends a run without anything being written down, as SIGKILL does."""


def killed_after(real: Callable[..., Path]) -> Callable[..., Path]:
    def publish(*arguments: Any) -> Path:
        real(*arguments)
        raise Killed

    return publish


def test_what_the_publish_folder_can_do_is_found_out_before_any_photo_is_cloaked(
    scene: Scene, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def opened(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & os.O_CREAT and named.get("dir_fd") is not None:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, flags, *arguments, **named)

    scene.put("a.jpg", "good")
    with monkeypatch.context() as patched:
        patched.delattr(os, "O_TMPFILE")
        patched.setattr(os, "open", opened)
        assert scene.run() == ERROR
    assert f"{scene.publish} cannot be published into: the disk reports" in capsys.readouterr().out
    assert scene.cloaked() == scene.looked() == 0
    with monkeypatch.context() as patched:
        patched.delattr(os, "O_TMPFILE")
        assert scene.run() == OK
    print_status(as_json=False)
    assert "  photos are written under a temporary name first: this" in capsys.readouterr().out
    print_status(as_json=True)
    assert json.loads(capsys.readouterr().out)["folders"][0]["way"] == "link"
    assert scene.run() == OK
    print_status(as_json=False)
    assert "temporary name" not in capsys.readouterr().out
    scene.check()
