"""The command on a video file, with real models and sandboxed processes: published, and gone on with after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clips
import pytest
from clips import Scene

from uncnn.daemon.video.clip import frames_of, opened
from uncnn.daemon.video.writing import sounds_of

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
PATIENCE_SECONDS = 1800.0


class Home:
    """A home of its own, and the command in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clips = folder, folder / "state" / "clips"
        self.environment = {**os.environ, "HOME": str(folder), "UNCNN_STATE": str(folder / "state")}

    def command(self, *words: str) -> list[str]:
        return [str(PROGRAM), *words]

    def cloak(self, clip: Path) -> dict[str, Any]:
        asked = self.command("cloak", str(clip), "-o", str(self.folder / "out"), "--json")
        done = subprocess.run(
            asked, env=self.environment, stdout=subprocess.PIPE, check=False, timeout=PATIENCE_SECONDS
        )
        (photo,) = json.loads(done.stdout)["photos"]
        return dict(photo)

    def files(self, pattern: str) -> list[Path]:
        return sorted(self.clips.glob(f"*/{pattern}"))


def wait_for(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_clip_is_published_also_after_a_kill(tmp_path: Path, person: Scene) -> None:
    home = Home(tmp_path)
    clip = clips.write(tmp_path / "clip.mp4", person, 2.5, (640, 360), variable=True, metadata={"title": "Anna"})
    asked = home.command("cloak", str(clip), "-o", str(tmp_path / "out"))
    killed = subprocess.Popen(asked, env=home.environment, start_new_session=True)
    wait_for(lambda: home.files("*.change.npy"))
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    (timeline,) = home.files("source.timeline")
    looked_through = timeline.stat().st_mtime_ns
    again = subprocess.Popen(home.command("cloak", str(clip), "-o", str(tmp_path / "out")), env=home.environment)
    wait_for(lambda: home.files("source.candidate") or again.poll() is not None)
    assert timeline.stat().st_mtime_ns == looked_through
    assert again.wait(PATIENCE_SECONDS) == 0
    told = home.cloak(clip)
    assert (told["status"], told["done_before"]) == ("published", True)
    copy = Path(told["published"])
    with opened(clip, "a") as one, opened(copy, "b") as other:
        assert [frame.pts for frame in frames_of(one)] == [frame.pts for frame in frames_of(other)]
    with opened(clip, "a") as one, opened(copy, "b") as other:
        assert [bytes(packet) for packet in sounds_of(one)] == [bytes(packet) for packet in sounds_of(other)]
    assert b"Anna" not in copy.read_bytes()
    assert home.files("*") == []
    audited = subprocess.run(home.command("audit"), env=home.environment, capture_output=True, text=True, check=False)
    assert audited.returncode == 0, audited
    assert "a video, so not judged again" in audited.stdout


@pytest.mark.slow
def test_what_is_no_clip_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "bad.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(4000))
    told = home.cloak(tmp_path / "bad.mp4")
    assert told["status"] == "error"
    assert told["message"].startswith("bad.mp4: damaged or not whole")
    assert home.files("*") == []
    assert list((tmp_path / "out").iterdir()) == []
