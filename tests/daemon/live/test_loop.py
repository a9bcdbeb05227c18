"""Frames on their way: faces of clips whose places are known are hidden in every frame, the first and the last too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
from clips import Scene, Sprite
from PIL import Image

from uncnn.daemon.live.errors import LiveError
from uncnn.daemon.live.loop import Loop
from uncnn.daemon.live.sources import Taken, frames_of_clip
from uncnn.daemon.live.worker import LOOK_PIXELS
from uncnn.daemon.protect.wire import silent
from uncnn.daemon.video.faces import detector_for
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.plugins.api import Detector, Pixels
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.tracking import FAINT

FACE = (0.36, 0.08, 0.52, 0.34)  # of the portrait, that shows it: left, top, right, bottom, shares of its width
SIZE = (640, 360)


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[Pixels] = []
        self.stamps: list[float] = []

    def send(self, pixels: Pixels, stamp: float) -> None:
        self.frames.append(pixels.copy())
        self.stamps.append(stamp)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def detector() -> Detector:
    return detector_for(load_onnx(EMBEDDED / OWN_ONNX, ["CPUExecutionProvider"], 1), LOOK_PIXELS, FAINT)


def went(detector: Detector, clip: Path, frames: Iterator[Taken] | None = None) -> tuple[Loop, Kept]:
    sink = Kept()
    loop = Loop(detector, sink, silent)
    loop.run(frames or frames_of_clip(clip, clip.name, False), lambda: False)
    return loop, sink


def shown(clip: Path, scene: Scene, kept: Kept) -> list[tuple[int, int]]:
    """Return where a face is to be seen as it was, by frame and sprite: its place is known."""
    found = []
    before = [taken.pixels() for taken in frames_of_clip(clip, clip.name, False)]
    assert len(kept.frames) == len(before)
    for number, (frame, own) in enumerate(zip(kept.frames, before, strict=True)):
        for place, sprite in enumerate(scene.sprites):
            time = number / 30
            if not sprite.begins <= time < sprite.ends:
                continue
            x, y, share = sprite.place(time)
            left, top = x - share / 2, y - share * sprite.picture.height / sprite.picture.width / 2
            x0, y0, x1, y1 = (
                round((low + share * part) * SIZE[0]) for low, part in zip((left, top) * 2, FACE, strict=True)
            )
            if x0 < 0 or x1 > SIZE[0] or y1 > SIZE[1]:
                continue
            if _detail(frame[y0:y1, x0:x1]) > 0.25 * _detail(own[y0:y1, x0:x1]):
                found.append((number, place))
    return found


def _detail(piece: Pixels) -> float:
    return float(np.abs(np.diff(piece.astype(float), axis=1)).mean())


def test_nobody_is_shown_who_comes_in_or_goes(detector: Detector, tmp_path: Path, astronaut: Any) -> None:
    def comes(time: float) -> tuple[float, float, float]:
        return -0.15 + 0.55 * time, 0.3, 0.36

    scene = Scene([Sprite(astronaut, comes), Sprite(astronaut, lambda _t: (0.84, 0.3, 0.24), begins=0.5, ends=1.0)])
    clip = clips.write(tmp_path / "clip.mp4", scene, 1.4, SIZE)
    loop, kept = went(detector, clip)
    assert shown(clip, scene, kept) == []
    assert loop.counts.frames == 42
    assert kept.stamps == pytest.approx([number / 30 for number in range(42)])
    other, nothing_hidden = Scene([]), Kept()
    nothing_hidden.frames = [taken.pixels() for taken in frames_of_clip(clip, clip.name, False)]
    assert shown(clip, scene, nothing_hidden), "else this test cannot fail"
    assert shown(clip, other, nothing_hidden) == []


def test_a_cut_shows_neither_who_was_there_nor_who_comes(detector: Detector, tmp_path: Path, astronaut: Any) -> None:
    mirrored = astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scene = clips.cut(astronaut, mirrored, 0.3)
    clip = clips.write(tmp_path / "cut.mp4", scene, 0.6, SIZE)
    loop, kept = went(detector, clip)
    first = Scene(scene.sprites[:1])  # the face of the other one is at another place of its mirrored portrait
    assert shown(clip, first, kept) == []
    assert loop.following.count == 2


def test_a_frame_without_faces_stays_as_it_was_but_for_its_line(detector: Detector, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "plain.mp4", Scene([]), 0.2, SIZE)
    loop, kept = went(detector, clip)
    for taken, after in zip(frames_of_clip(clip, clip.name, False), kept.frames, strict=True):
        before = taken.pixels()
        assert (after[:-16] == before[:-16]).all()
        assert (after[-16:] != before[-16:]).any()
    assert (loop.counts.hidden, loop.following.count) == (0, 0)


def test_it_ends_when_it_is_told_to_and_sends_what_it_holds(detector: Detector, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "plain.mp4", Scene([]), 1.0, SIZE)
    sink, told = Kept(), iter([False, False, True])
    Loop(detector, sink, silent).run(frames_of_clip(clip, clip.name, False), lambda: next(told))
    assert len(sink.frames) == 3


def test_a_source_that_changes_its_size_is_refused(detector: Detector, tmp_path: Path) -> None:
    one = clips.write(tmp_path / "one.mp4", Scene([]), 0.1, SIZE)
    other = clips.write(tmp_path / "other.mp4", Scene([]), 0.1, (320, 240))

    def both() -> Iterator[Taken]:
        yield from frames_of_clip(one, "one", False)
        yield from frames_of_clip(other, "other", False)

    with pytest.raises(LiveError, match="changes the size"):
        went(detector, one, both())


def test_large_and_turned_frames_go_on_upright_and_smaller(detector: Detector, tmp_path: Path, astronaut: Any) -> None:
    scene = clips.one_person(astronaut)
    clip = clips.write(tmp_path / "large.mp4", scene, 0.1, (1280, 720), quarter_turns=1)
    _, kept = went(detector, clip)
    height, width = kept.frames[0].shape[:2]
    assert width * height <= 640 * 480
    assert (width % 2, height % 2) == (0, 0)
    assert math.isclose(width / height, 1280 / 720, rel_tol=0.01)
