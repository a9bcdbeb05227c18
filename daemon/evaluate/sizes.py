"""Classes of faces by their size in the photo: a cloak of a portrait and one of a small face have little in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

ALL: Final = "all"
SIZES: Final = (("portraits", 240.0), ("everyday", 60.0), ("small", 0.0))
"""Each class with the least longer side, in pixels, of a face in it; the first that fits holds."""


def size_class(face_px: float) -> str:
    """Return the class of a face whose longer side is `face_px`."""
    return next(name for name, least in SIZES if face_px >= least)


def members(faces_px: Iterable[float]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which faces, (N,), are of each class that has some; `ALL` first."""
    classes = np.array([size_class(face) for face in faces_px])
    found = {ALL: np.ones(len(classes), dtype=bool)}
    return found | {name: classes == name for name, _ in SIZES if (classes == name).any()}
