"""Clips and the commands: what is needed, what is said where it is not there, and where a clip lies meanwhile."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from stub_clips import StubVideoEngine
from stub_engine import StubEngine

from uncnn.daemon.config import Models, Policy
from uncnn.daemon.files import kept
from uncnn.daemon.files.names import is_photo_name, is_video_name
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.pipeline import PhotoJob
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.video import protector
from uncnn.daemon.video.protector import ClipBusy, ClipProtector, clips_dir, room_missing, why_not


def test_names_of_videos_are_no_names_of_photos() -> None:
    for name in ("a.mp4", "A.MOV", "b.m4v", "c.mkv", "d.webm"):
        assert is_video_name(name)
        assert not is_photo_name(name)
    assert not any(map(is_video_name, ("mp4", "a.mp4.jpg", "a.avi", "a.heic")))


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not(ClipProtector("cpu")) == ""
    monkeypatch.setattr("uncnn.plugins.extras.find_spec", lambda _name: None)
    words = why_not(ClipProtector("cpu"))
    assert words == 'a video needs the extra video (av is not installed: pip install "uncnn[video]")'
    assert "uncnn-daemon cloak" in why_not(None)


def test_a_clip_has_a_private_folder_that_one_command_has_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    folder = clips_dir() / "one"
    assert clips_dir().stat().st_mode & 0o777 == 0o700
    with protector._locked(folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        opened = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(opened)
        with pytest.raises(ClipBusy, match="wait for it to end"), protector._locked(folder):
            pass
    spooled = tmp_path / "a.spool"
    spooled.write_bytes(b"a clip")
    protector._put(Content(spooled), folder / "source.clip")
    assert (folder / "source.clip").read_bytes() == b"a clip"


def test_folders_that_nobody_goes_on_with_are_removed(tmp_path: Path) -> None:
    for name, age in (("old", protector.OLDEST_SECONDS + 60), ("new", 60.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "source.clip").write_bytes(b"a clip")
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    protector._sweep(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["new"]


def test_copies_of_videos_that_are_held_take_no_room_of_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(kept, "MOST_BYTES", 10)
    monkeypatch.setattr(kept, "MOST_VIDEO_BYTES", 100)
    for age, (name, size) in enumerate({"5.mp4": 60, "4.jpg": 8, "3.jpg": 8, "2.mp4": 30, "1.mp4": 30}.items()):
        file = kept.kept_dir() / name
        file.write_bytes(bytes(size))
        os.utime(file, (1e9 - age, 1e9 - age))
    kept.prune({1, 2, 3, 4, 5}, 1e9)
    assert {file.name for file in kept.kept_dir().glob("[0-9]*")} == {"5.mp4", "4.jpg", "2.mp4"}


def test_a_clip_without_room_is_said_before_it_is_copied(tmp_path: Path) -> None:
    assert room_missing(tmp_path, 1) == ""
    assert "GB are free: make room" in room_missing(tmp_path, 10**15)


def test_the_service_waits_for_a_clip_that_a_command_works_on(tmp_path: Path) -> None:
    folder, rests = tmp_path / "one", []
    with ExitStack() as other:
        other.enter_context(protector._locked(folder))

        def rest() -> None:
            rests.append(1)
            if len(rests) == 2:
                other.close()

        with ExitStack() as held:
            ClipProtector("cpu", rest)._hold_soon(held, folder, silent)
            assert len(rests) == 2


def test_a_folder_that_was_removed_while_it_was_waited_for_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "one"
    opened = os.open

    def late(path: Path, flags: int) -> int:
        """Open it, and lose it to whoever had it before it is locked."""
        monkeypatch.setattr(os, "open", opened)
        descriptor = opened(path, flags)
        folder.rmdir()
        return descriptor

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(ClipBusy), protector._locked(folder):
        pass
    with protector._locked(folder):
        assert folder.is_dir()


def test_until_a_copy_is_taken_nobody_else_works_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(protector, "VideoEngine", StubVideoEngine)
    clip = tmp_path / "a.clip"
    clip.write_bytes(b"a clip")
    job, told = PhotoJob(Content(clip), "a.mp4", Policy()), hashlib.sha256(b"a clip").hexdigest()
    roster = StubEngine(Models(), "cpu", tmp_path, tmp_path, 60).roster
    with ClipProtector("cpu") as first, ClipProtector("cpu") as second:
        outcome = first.protect(job, told, roster, silent)
        with pytest.raises(ClipBusy):
            second.protect(job, told, roster, silent)
        assert outcome.candidate is not None
        assert outcome.candidate.read() == b"cloaked a clip"
        first.leave()
        again = second.protect(job, told, roster, silent)
        first.forget()
        assert again.candidate is not None
        assert again.candidate.read() == b"cloaked a clip", "whoever left it has no say in it"
        second.forget()
        assert list(clips_dir().iterdir()) == []
