"""The command: a whole file at the end, also after Ctrl-C, and one line of what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import av
import clips
import pytest
from models_home import PROGRAM, ModelsHome
from running import descendants

from uncnn.daemon.live.engine import LiveOrder, check
from uncnn.daemon.live.errors import LiveError
from uncnn.daemon.output import ERROR, OK

PATIENCE_SECONDS = 300.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, own_detector_folder: Path) -> ModelsHome:
    return ModelsHome(tmp_path_factory.mktemp("home")).having(own_detector_folder)


def frames_of(file: Path) -> int:
    with av.open(str(file)) as container:
        return len(list(container.decode(video=0)))


def test_a_clip_goes_into_a_new_file(home: ModelsHome, tmp_path: Path, astronaut: Any) -> None:
    clip = clips.write(tmp_path / "clip.mp4", clips.one_person(astronaut), 0.5, (320, 240))
    before = clip.read_bytes()
    status, said = home.json("live", clip, "--to", tmp_path / "out.mp4")
    assert (status, said["problem"], said["frames"], said["dropped"], said["faces"]) == (OK, "", 15, 0, 1)
    assert said["hidden"] == 15
    assert said["frames_per_second"] > 0
    assert (frames_of(tmp_path / "out.mp4"), clip.read_bytes()) == (15, before)
    assert oct((tmp_path / "out.mp4").stat().st_mode & 0o777 & ~0o022) == "0o644"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]
    again = home.run("live", clip, "--to", tmp_path / "out.mp4")
    assert (again.returncode, "is there already: name another file" in again.stderr) == (ERROR, True)


@pytest.mark.parametrize(
    ("source", "to", "words"),
    [
        ("none.mp4", "out.mp4", "there is no such file or camera"),
        ("/dev/video97", "out.mp4", "no such device"),
        ("/dev/null", "out.mp4", "no video device"),
        ("clip.mp4", "out.avi", "ends in .mp4"),
        ("clip.mp4", "clip.mp4", "is there already"),
        ("clip.mp4", "/dev/null", "no video device"),
        (".", "out.mp4", "no such file or camera"),
    ],
)
def test_what_cannot_be_is_said_before_models_are_loaded(tmp_path: Path, source: str, to: str, words: str) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(LiveError, match=words):
        check(LiveOrder(tmp_path / source, tmp_path / to, False))


@pytest.mark.slow
def test_a_source_that_is_no_video_leaves_no_file(home: ModelsHome, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("This is no video.")
    answer = home.run("live", tmp_path / "text.mp4", "--to", tmp_path / "out.mp4")
    assert (answer.returncode, answer.stdout) == (ERROR, "")
    assert "text.mp4: it is no MP4" in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


@pytest.mark.slow
def test_a_clip_that_breaks_off_gives_what_there_was(home: ModelsHome, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "clip.mkv", clips.Scene([]), 3.0, (320, 240), audio=False)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    status, said = home.json("live", clip, "--to", tmp_path / "out.mp4")
    assert 0 < said["frames"] < 90
    assert frames_of(tmp_path / "out.mp4") == said["frames"]
    assert (status == ERROR) == bool(said["problem"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked_to_with_a_file_that_can_be_played(
    home: ModelsHome, tmp_path: Path, number: signal.Signals
) -> None:
    clip = clips.write(tmp_path / "clip.mp4", clips.Scene([]), 60.0, (160, 120), 10, audio=False)
    with running(home, clip, tmp_path / "out.mp4") as process:
        wait_for_bytes(tmp_path)
        os.killpg(process.pid, number)  # a terminal and systemd tell all processes of the command
        said, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (OK, "")
    assert 0 < json.loads(said)["frames"] < 600
    assert frames_of(tmp_path / "out.mp4") == json.loads(said)["frames"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


@pytest.mark.slow
def test_nothing_goes_on_when_the_command_is_killed(home: ModelsHome, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "clip.mp4", clips.Scene([]), 60.0, (160, 120), 10, audio=False)
    with running(home, clip, tmp_path / "out.mp4") as process:
        wait_for_bytes(tmp_path)
        (worker, *_) = [each for each in descendants(process.pid) if is_live(each)]
        process.kill()
        process.wait(PATIENCE_SECONDS)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while is_live(worker):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.slow
def test_what_was_written_stays_when_the_process_is_killed(home: ModelsHome, tmp_path: Path, astronaut: Any) -> None:
    clip = clips.write(tmp_path / "clip.mp4", clips.one_person(astronaut), 20.0, (160, 120), 10, audio=False)
    with running(home, clip, tmp_path / "out.mp4") as process:
        wait_for_bytes(tmp_path)
        for each in descendants(process.pid):
            if is_live(each):
                os.kill(each, signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, "the live process ended unexpectedly" in errors) == (ERROR, True)
    assert frames_of(tmp_path / "out.mp4") > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


def running(home: ModelsHome, clip: Path, to: Path) -> subprocess.Popen[str]:
    command = [str(PROGRAM), "live", str(clip), "--to", str(to), "--real-time", "--json"]
    return subprocess.Popen(
        command,
        env=home.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_bytes(folder: Path) -> None:
    """Wait until some of the file is written."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(path.stat().st_size > 1000 for path in folder.glob(".uncnn-*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_live(process: int) -> bool:
    """Return whether a process is the one that takes frames and is not over yet."""
    try:
        said = Path(f"/proc/{process}/cmdline").read_bytes()
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return b"spawn_main" in said and state != "Z"
