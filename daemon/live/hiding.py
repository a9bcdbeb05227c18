"""Hiding a face: what lies around it is averaged over a few large cells, between which colours run into each other.

Recognisers that are taught with such pictures read faces through fine mosaics: McPherson, Shokri, Shmatikov, "Defeating
Image Obfuscation with Deep Learning", 2016. So the cells are large: `benchmarks/live_hiding.py` says what judges make
of each size, also of two hidden pictures of one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

from uncnn.plugins.api import Pixels
from uncnn.plugins.geometry import Floats

CELLS: Final = 3
"""Across the larger side of a face's box."""

GROWN: Final = 0.3
"""Of the box's larger side, by which more is hidden on each side: hair, chin, and where the face is a frame later."""


def around(boxes: Sequence[Floats], grown: float = GROWN) -> Floats:
    """Return the box, (4,), that holds all of `boxes` of one face, and so much of its size more on each side."""
    low, high = np.min([box[:2] for box in boxes], axis=0), np.max([box[2:] for box in boxes], axis=0)
    margin = grown * max(float((box[2:] - box[:2]).max()) for box in boxes)
    whole: Floats = np.concatenate([low - margin, high + margin])
    return whole


def hide(picture: Pixels, box: Floats, cell_px: float) -> None:
    """Average what lies in `box`, (4,), of a picture, (H, W, 3) uint8 RGB, over cells of about this size, in place."""
    height, width = picture.shape[:2]
    left, top = np.clip(np.floor(box[:2]).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(box[2:]).astype(int) + 1, 0, (width, height))
    if left >= right or top >= bottom:
        return
    piece = Image.fromarray(np.ascontiguousarray(picture[top:bottom, left:right]))
    cells = max(round(piece.width / cell_px), 1), max(round(piece.height / cell_px), 1)
    few = piece.resize(cells, Image.Resampling.BOX)
    picture[top:bottom, left:right] = np.asarray(few.resize(piece.size, Image.Resampling.BILINEAR))


def cell_of(box: Floats) -> float:
    """Return the side of a cell for a face whose box, (4,), is this, in pixels."""
    return max(float((box[2:] - box[:2]).max()) / CELLS, 1.0)
