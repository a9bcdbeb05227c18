"""Clips in watched folders: the service as a real process, with processes that do what a clip says in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import Running
from scene import Scene

from uncnn.daemon.commands.jobs import print_ignored
from uncnn.daemon.commands.status import print_status
from uncnn.daemon.ledger import State
from uncnn.daemon.output import DEGRADED, ERROR, OK


@pytest.fixture
def running(scene: Scene) -> Running:
    scene.configure(settle=0.3)
    return Running(scene)


def rendered(scene: Scene) -> list[str]:
    log = scene.root / "data" / "uncnn" / "rendered"
    return log.read_text().splitlines() if log.exists() else []


def clip_folders(scene: Scene) -> list[Path]:
    root = scene.state / "clips"
    return list(root.iterdir()) if root.exists() else []


def status_of(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_status(as_json=False)
    return capsys.readouterr().out


def test_photos_do_not_wait_behind_a_clip_and_the_status_says_how_far_it_is(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = running.scene
    scene.put("a.mp4", "hanging")
    running.until(lambda: "a.mp4 1" in rendered(scene))
    scene.put("b.jpg", "good")
    running.until_published("b.jpg")
    running.until(lambda: scene.states() == {"a.mp4": State.RUNNING, "b.jpg": State.PUBLISHED})
    running.until(lambda: "a.mp4: cloaking 33%" in status_of(capsys))
    (scene.root / "data" / "uncnn" / "go on").touch()
    running.until_published("a.mp4")
    scene.put("again.mp4", "hanging")
    scene.put("copy.mp4", "cloaked hanging")
    scene.put("held.MOV", "unprotected")
    scene.put("bad.webm", "damaged")
    running.until_published("again.mp4")
    running.until_said("bad.webm: error")
    running.until_said("held.MOV: held")
    running.until_said("copy.mp4: skipped")
    assert [each for each in rendered(scene) if "mp4" in each] == [f"a.mp4 {number}" for number in range(3)]
    assert scene.published()["again.mp4"] == "cloaked hanging"
    said = status_of(capsys)
    assert "needs your attention (2)" in said
    assert "damaged or not whole" in said
    assert running.stop() == 0
    assert clip_folders(scene) == []
    scene.check()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_clip_is_gone_on_with_after_the_service_ended_in_the_middle(running: Running, how: str) -> None:
    scene = running.scene
    scene.put("a.mp4", "hanging")
    running.until(lambda: "a.mp4 1" in rendered(scene))
    if how == "stop":
        assert running.stop() == 0
        assert (scene.jobs()["a.mp4"].state, scene.jobs()["a.mp4"].attempts) == (State.QUEUED, 0)
    else:
        running.kill()
    (scene.root / "data" / "uncnn" / "go on").touch()
    running.start()
    running.until_published("a.mp4")
    assert rendered(scene).count("a.mp4 0") == 1
    assert running.stop() == 0
    scene.check()


@pytest.mark.slow
def test_a_clip_that_is_removed_meanwhile_is_not_published(running: Running) -> None:
    scene = running.scene
    clip = scene.put("a.mp4", "hanging")
    running.until(lambda: "a.mp4 1" in rendered(scene))
    clip.unlink()
    (scene.root / "data" / "uncnn" / "go on").touch()
    running.until_said("a.mp4: skipped: the video was removed or changed while it was being cloaked")
    assert scene.states() == {}
    assert clip_folders(scene) == []
    assert rendered(scene) == ["a.mp4 0", "a.mp4 1"]
    assert running.stop() == 0
    assert scene.published() == {}


@pytest.mark.slow
def test_a_clip_whose_process_dies_is_tried_again_and_no_photo_suffers(running: Running) -> None:
    scene = running.scene
    scene.put("a.mp4", "kills")
    scene.put("b.jpg", "good")
    running.until_published("b.jpg")
    running.until(lambda: scene.states().get("a.mp4") is State.RETRY)
    assert "the video worker ended unexpectedly" in scene.jobs()["a.mp4"].reason
    assert running.stop() == 0
    assert scene.run() == OK
    assert scene.published() == {"a.mp4": "cloaked kills", "b.jpg": "cloaked good"}
    assert rendered(scene) == ["a.mp4 0", "a.mp4 1", "a.mp4 1", "a.mp4 2"]


def test_without_the_extra_the_status_says_how_many_videos_wait(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.configure(settle=0.3)
    scene.put("a.mp4", "good")
    running = Running(scene, STUB_NO_VIDEO="1")
    scene.put("b.mov", "good")
    scene.put("c.jpg", "good")
    running.until_published("c.jpg")
    words = (
        '2 videos wait, not cloaked: a video needs the extra video (av is not installed: pip install "uncnn[video]")'
    )
    running.until_said(words)
    said = status_of(capsys)
    assert "needs your attention (1)" in said
    assert f"cannot be used: {scene.watch}: {words}" in said
    assert running.stop() == 0
    assert set(scene.states()) == {"c.jpg"}


def test_a_run_once_does_photos_first_and_says_what_it_cannot_do(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("a.mp4", "good")
    scene.put("b.jpg", "good")
    assert scene.run() == OK
    assert list(scene.states()) == ["b.jpg", "a.mp4"]
    scene.put("c.mp4", "good too")
    monkeypatch.setattr("uncnn.plugins.extras.find_spec", lambda _name: None)
    assert scene.run() == ERROR
    assert "1 video waits, not cloaked: a video needs the extra video" in capsys.readouterr().out
    assert print_status(as_json=False) == DEGRADED


def test_a_policy_may_leave_videos_alone_and_changes_nothing_else_by_it(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("b.jpg", "unprotected")
    scene.put("c.avi", "good")
    scene.run()
    scene.configure("{videos: ignore}")
    scene.put("a.mp4", "good")
    capsys.readouterr()
    scene.run()
    assert "ignored: 2 videos that are not cloaked" in capsys.readouterr().out
    assert scene.states() == {"b.jpg": State.HELD}
    assert scene.cloaked() == 3, "what was held under the policy of before is not cloaked again"
    monkeypatch.setenv("UNCNN_CONFIG", str(scene.root / "config.yaml"))
    assert print_ignored(as_json=True) == OK
    told = {Path(each["path"]).name: each["words"] for each in json.loads(capsys.readouterr().out)["ignored"]}
    assert told["a.mp4"] == "it is a video, and the policy says `videos: ignore`"
    assert told["c.avi"] == "videos of its format are not cloaked: convert it to MP4"
