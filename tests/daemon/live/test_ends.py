"""Sources and sinks: the newest frame counts, files can be played, silence and faults are said."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import av
import clips
import numpy as np
import pytest
from clips import Scene

from uncnn.daemon.live.counting import Counts
from uncnn.daemon.live.errors import LiveError
from uncnn.daemon.live.sinks import FileSink, LoopbackSink, packed
from uncnn.daemon.live.sources import Latest, Taken, frames_of_camera, frames_of_clip, size_of


def test_a_file_is_played_as_fast_as_it_is_shown_and_the_newest_frame_is_taken(tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "clip.mp4", Scene([]), 0.5, (320, 180))
    began, latest, stamps = time.monotonic(), Latest(), []
    latest.follow(frames_of_clip(clip, "clip", True))
    for taken in latest.frames(lambda: False, "clip"):
        stamps.append(taken.stamp)
        time.sleep(0.1)
    assert time.monotonic() - began > 14 / 30
    assert stamps == sorted(stamps)
    assert latest.dropped > 0
    assert len(stamps) + latest.dropped == 15


def test_a_fault_of_the_source_comes_through() -> None:
    def fails() -> Iterator[Taken]:
        raise LiveError("camera", "unplugged")
        yield

    latest = Latest()
    latest.follow(fails())
    with pytest.raises(LiveError, match="unplugged"):
        list(latest.frames(lambda: False, "camera"))


def test_a_silent_source_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncnn.daemon.live.sources.SILENT_SECONDS", 0.2)
    with pytest.raises(LiveError, match="gave no frame for"):
        list(Latest().frames(lambda: False, "/dev/video0"))
    assert list(Latest().frames(lambda: True, "/dev/video0")) == []


def test_what_is_no_camera_is_said(tmp_path: Path) -> None:
    with pytest.raises(LiveError, match=r"video77: there is no such device"):
        list(frames_of_camera(tmp_path / "video77"))
    with pytest.raises(LiveError, match="/dev/null"):
        list(frames_of_camera(Path("/dev/null")))


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (1080, 1920), (333, 111), (4000, 100)])
def test_frames_go_on_no_larger_than_faces_can_be_found(size: tuple[int, int]) -> None:
    width, height = size_of(*size)
    assert width * height <= 640 * 480
    assert width % 2 == height % 2 == 0
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05)


def picture(number: int) -> np.ndarray:
    pixels = np.full((90, 160, 3), 40, np.uint8)
    pixels[:, : 10 * number] = (200, 90, 30)
    return pixels


def test_a_file_can_be_played_with_its_times_also_when_it_was_not_ended(tmp_path: Path) -> None:
    file, cut_short = tmp_path / "whole.mp4", tmp_path / "killed.mp4"
    opened = os.open(file, os.O_WRONLY | os.O_CREAT)
    sink = FileSink(opened)
    stamps = [0.0, 0.033, 0.1, 0.1, 0.4]
    for number, stamp in enumerate(stamps):
        sink.send(picture(number), stamp)
    sink.close()
    os.close(opened)
    with av.open(str(file)) as container:
        frames = list(container.decode(video=0))
        assert len(container.streams) == 1
    assert [frame.time for frame in frames] == pytest.approx(stamps, abs=1e-3)
    shown = frames[4].to_ndarray(format="rgb24").astype(int)
    assert np.abs(shown[:, :30] - (200, 90, 30)).max() < 12
    opened = os.open(cut_short, os.O_WRONLY | os.O_CREAT)
    sink = FileSink(opened)
    for number in range(600):
        sink.send(picture(number % 16), number / 30)
    cut_short.with_suffix(".copy.mp4").write_bytes(cut_short.read_bytes())  # what a kill would leave
    with av.open(str(cut_short.with_suffix(".copy.mp4"))) as container:
        assert len(list(container.decode(video=0))) > 200
    sink.close()
    os.close(opened)


def test_a_sink_that_was_given_nothing_ends(tmp_path: Path) -> None:
    opened = os.open(tmp_path / "empty.mp4", os.O_WRONLY | os.O_CREAT)
    FileSink(opened).close()
    os.close(opened)


def test_what_is_no_loopback_device_takes_nothing(tmp_path: Path) -> None:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(OSError, match="ioctl"):
        LoopbackSink(opened).send(picture(1), 0.0)
    os.close(opened)
    assert (tmp_path / "file").stat().st_size == 0


def test_a_frame_for_a_device_is_packed_two_bytes_a_pixel() -> None:
    content = np.frombuffer(packed(picture(0)), np.uint8)
    assert content.shape == (90 * 160 * 2,)
    luma, colours = content[::2], content[1::2]
    assert np.abs(luma.astype(int) - (16 + 40 * 219 / 255)).max() < 2
    assert np.abs(colours.astype(int) - 128).max() < 2


def test_times_are_counted_in_a_few_numbers() -> None:
    counts = Counts()
    assert (counts.seconds, counts.within_ms(0.5)) == (0.0, 0)
    now = time.monotonic()
    for _ in range(90):
        counts.sent(1, 2, now)
    for _ in range(10):
        counts.sent(0, 0, now - 1)
    assert (counts.frames, counts.hidden, counts.masked) == (100, 90, 180)
    assert counts.within_ms(0.5) < counts.within_ms(0.95)
    assert counts.within_ms(0.95) >= 1000
