"""Looking through a clip once: the time stamp of every frame, the cuts, and the faces, followed from look to look."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
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
from uncnn.plugins.api import Detector, Face
from uncnn.plugins.tracking import FAINT, SURE, Looked, tracks_of

LOOK_PIXELS: Final = 500_000
"""Of the picture in which faces are looked for: of 1080p, those of 50 px and more are found in it."""

FAR_PIXELS: Final = 1_000_000
"""As many as who judges looks at: of 1080p, faces of 35 px and more are found."""

FAR_SECONDS: Final = 0.5
"""From one look for small faces to the next; while there is one, every look is for them."""

SMALL_PX: Final = 32.0
"""A face that is smaller in a picture of `LOOK_PIXELS` may not be found in the next one."""

LOOKS_A_SECOND: Final = 6.0
PATIENCE_SECONDS: Final = 1.2
"""A face that is hidden for no longer is the same one afterwards, and is changed meanwhile."""

CUT_255: Final = 16.0
"""Mean difference of light from one frame to the next, in small, from which on it is another shot."""

_SMALL: Final = (32, 18)
_EVERY: Final = 30  # frames from one report to the next


@dataclass(slots=True)
class Looker:
    """Looks for the faces of frames: in small, and now and then in a larger picture, for small faces."""

    detector: Detector
    info: ClipInfo
    far_from: float = -math.inf  # the seconds from which on a look is for small faces
    far_until: float = -math.inf  # those until which each one is

    def look(self, frame: Any, number: int) -> Looked:
        """Return the faces that are seen in a frame, and its number."""
        seconds, pixels = float(frame.pts) * self.info.tick_seconds, LOOK_PIXELS
        if seconds >= self.far_from or seconds <= self.far_until:
            pixels, self.far_from = FAR_PIXELS, seconds + FAR_SECONDS
        detector = detector_for(self.detector, pixels, FAINT)
        faces = faces_in(detector, frame, self.info.quarter_turns, pixels)
        if any(face.score >= SURE and self.is_small(face) for face in faces):
            self.far_until = seconds + 2 * FAR_SECONDS
        return Looked(number, tuple(faces))

    def is_small(self, face: Face) -> bool:
        """Return whether a face may not be found in small."""
        scale = min((LOOK_PIXELS / (self.info.width * self.info.height)) ** 0.5, 1.0)
        return bool(face.size_px * scale < SMALL_PX)


def follow(detector: Detector, file: Path, name: str, smallest_px: float, report: Report) -> Timeline:
    """Return what there is in a clip. Raises VideoError: it cannot be taken. OSError."""
    info = look_at(file, name)
    looker = Looker(detector, info)
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
                    looks.append(looker.look(before, number - 1))
                looker.far_from = -math.inf
            elapsed = (stamps[-1] - stamps[looks[-1].frame]) * info.tick_seconds if looks else np.inf
            if is_cut or elapsed >= 1 / LOOKS_A_SECOND - info.tick_seconds:
                looks.append(looker.look(frame, number))
            if number % _EVERY == 0:
                report(Stage("looking for faces", number, max(info.frames_declared, number)))
            last = frame
    if looks[-1].frame < len(stamps) - 1:
        looks.append(looker.look(last, len(stamps) - 1))
    _check_whole(info, len(stamps), name)
    rate = (len(stamps) - 1) / max((stamps[-1] - stamps[0]) * info.tick_seconds, 1e-6) if len(stamps) > 1 else 1.0
    patience, prolonged, far = (
        max(round(seconds * rate), 1) for seconds in (PATIENCE_SECONDS, 1 / LOOKS_A_SECOND, FAR_SECONDS)
    )
    tracks = tracks_of(looks, cuts, patience, lambda face: far if looker.is_small(face) else prolonged, len(stamps))
    large = tuple(track for track in tracks if track.size_px >= smallest_px)
    return Timeline(info, tuple(stamps), large)


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
