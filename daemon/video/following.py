"""Looking through a clip once: the time stamp of every frame, the cuts, and the faces, followed from look to look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from uncnn.daemon.protect.wire import Report, Stage
from uncnn.daemon.text import printable
from uncnn.daemon.video.clip import MOST_FRAMES, frames_of, look_at, opened
from uncnn.daemon.video.clip_info import ClipInfo
from uncnn.daemon.video.errors import VideoError
from uncnn.daemon.video.faces import detector_for, faces_in
from uncnn.daemon.video.timeline import Timeline
from uncnn.plugins.api import Detector
from uncnn.plugins.tracking import FAINT, Looked, tracks_of

LOOK_PIXELS: Final = 500_000
"""Of the picture in which faces are looked for: of 1080p, those of 50 px and more are found."""

LOOKS_A_SECOND: Final = 6.0
PATIENCE_SECONDS: Final = 1.2
"""A face that is hidden for no longer is the same one afterwards, and is changed meanwhile."""

CUT_255: Final = 16.0
"""Mean difference of light from one frame to the next, in small, from which on it is another shot."""

_SMALL: Final = (32, 18)
_EVERY: Final = 30  # frames from one report to the next


def follow(detector: Detector, file: Path, name: str, smallest_px: float, report: Report) -> Timeline:
    """Return what there is in a clip. Raises VideoError: it cannot be taken. OSError."""
    info = look_at(file, name)
    looking = detector_for(detector, LOOK_PIXELS, FAINT)
    stamps: list[int] = []
    looks: list[Looked] = []
    cuts: list[int] = []
    with opened(file, name) as container:
        for number, frame, before, is_cut in _with_cuts(frames_of(container)):
            if number >= MOST_FRAMES:
                raise VideoError("too-large", f"it has more than {MOST_FRAMES:,} frames: cut it into parts")
            stamps.append(int(frame.pts))
            if (frame.width, frame.height) != (info.width, info.height):
                raise VideoError("unsupported", "its picture changes its size: convert it to one size")
            if is_cut:
                cuts.append(number)
                if looks and looks[-1].frame < number - 1:  # a face that was there until the cut
                    looks.append(_look(looking, before, number - 1, info))
            elapsed = (stamps[-1] - stamps[looks[-1].frame]) * info.tick_seconds if looks else np.inf
            if is_cut or elapsed >= 1 / LOOKS_A_SECOND - info.tick_seconds:
                looks.append(_look(looking, frame, number, info))
            if number % _EVERY == 0:
                report(Stage("looking for faces", number, max(info.frames_declared, number)))
            last = frame
    if looks[-1].frame < len(stamps) - 1:
        looks.append(_look(looking, last, len(stamps) - 1, info))
    _check_whole(info, len(stamps), name)
    rate = (len(stamps) - 1) / max((stamps[-1] - stamps[0]) * info.tick_seconds, 1e-6) if len(stamps) > 1 else 1.0
    patience, prolonged = (max(round(seconds * rate), 1) for seconds in (PATIENCE_SECONDS, 1 / LOOKS_A_SECOND))
    tracks = tracks_of(looks, cuts, patience, prolonged, len(stamps))
    large = tuple(track for track in tracks if track.size_px >= smallest_px)
    return Timeline(info, tuple(stamps), large)


def _look(detector: Detector, frame: Any, number: int, info: ClipInfo) -> Looked:
    return Looked(number, tuple(faces_in(detector, frame, info.quarter_turns, LOOK_PIXELS)))


def _with_cuts(frames: Iterator[Any]) -> Iterator[tuple[int, Any, Any, bool]]:
    """Yield each frame with its number, the one before it, and whether it begins another shot."""
    before, small_before = None, None
    for number, frame in enumerate(frames):
        small = frame.reformat(*_SMALL, "gray", interpolation="AREA").to_ndarray().astype(np.float32)
        is_cut = small_before is not None and float(np.abs(small - small_before).mean()) > CUT_255
        yield number, frame, before, is_cut
        before, small_before = frame, small


def _check_whole(info: ClipInfo, frames: int, name: str) -> None:
    """Raise VideoError: the file says that it has more frames than could be read."""
    if info.frames_declared > frames:
        words = f"only {frames} of its {info.frames_declared} frames can be read: copy it from the camera again"
        raise VideoError("damaged", f"{printable(name)}: not whole, {words}")
