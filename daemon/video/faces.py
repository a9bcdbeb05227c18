"""The faces of a frame, found in a smaller picture of it that stands upright, in the pixels in which it is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from uncnn.daemon.video.clip import picture, upright
from uncnn.plugins.api import Detector, Face, Point
from uncnn.plugins.detectors.retinaface import RetinaFace


def detector_for(detector: Detector, pixels: int, threshold: float) -> Detector:
    """Return the detector as frames are looked at: at no more than so many pixels, for faces of this score and more."""
    if not isinstance(detector, RetinaFace):
        return detector
    return replace(detector, threshold=threshold, view_pixels=pixels, largest_scale=1.0)


def faces_in(detector: Detector, frame: Any, quarter_turns: int, pixels: int) -> list[Face]:
    """Return the faces of a frame, in its own pixels; it is looked at with no more than so many `pixels`."""
    scale = min((pixels / (frame.width * frame.height)) ** 0.5, 1.0)
    width, height = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
    shown = upright(picture(frame, width, height), quarter_turns)
    factors = frame.width / width, frame.height / height
    return [_stored(face, quarter_turns, (width, height), factors) for face in detector.detect(shown)]


def _stored(face: Face, quarter_turns: int, size: tuple[int, int], factors: tuple[float, float]) -> Face:
    """Return a face of the upright picture in the pixels of the stored one; `size` is that of the smaller one."""

    def back(point: Point) -> Point:
        x, y = point
        width, height = size
        for turn in range(quarter_turns):  # undo one turn after another: np.rot90 turns counter-clockwise
            side = width if (quarter_turns - turn) % 2 else height  # of the stored picture, across what is undone
            x, y = side - 1 - y, x
        return (x + 0.5) * factors[0] - 0.5, (y + 0.5) * factors[1] - 0.5

    left_eye, right_eye, nose, left, right = map(back, face.landmarks)
    corners = np.array([back(face.box[:2]), back(face.box[2:])])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Face(
        (float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        (left_eye, right_eye, nose, left, right),
        face.score,
    )
