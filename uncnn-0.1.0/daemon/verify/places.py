"""Where a recogniser may be shown a face: whoever aligns it finds its landmarks a little elsewhere."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Landmarks: TypeAlias = npt.NDArray[np.float64]

JITTERS: Final = ((0.03, -0.02, 2.0, 1.03), (-0.03, 0.02, -2.0, 0.97))
"""To the right and down, in distances between the eyes; a turn in degrees; a scale. About half of what attacks see."""


SAME_PLACE: Final = 0.02
"""Landmarks that lie nearer than this share of the distance between the eyes are in one place: jitters go beyond."""


def places(again: Landmarks, there: Landmarks) -> list[Landmarks]:
    """Return where recognisers are shown faces, each (N, 5, 2): where they were found `again`, and around that.

    And where they were before, `there`, unless all of them are still in the same place.
    """
    off = np.linalg.norm(again - there, axis=2).mean(axis=1)
    apart = not (off <= SAME_PLACE * np.linalg.norm(there[:, 0] - there[:, 1], axis=1)).all()
    return [again, *nearby(again), *([there] if apart else [])]


def nearby(landmarks: Landmarks) -> list[Landmarks]:
    """Return `landmarks`, (N, 5, 2) in photo pixels, as each of `JITTERS` has them."""
    centres = landmarks.mean(axis=1, keepdims=True)
    eyes_px = np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=1)[:, None, None]
    moved = []
    for right, down, degrees, scale in JITTERS:
        cosine, sine = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
        turn = np.array([[cosine, sine], [-sine, cosine]])
        moved.append((landmarks - centres) @ turn + centres + eyes_px * np.array([right, down]))
    return moved
