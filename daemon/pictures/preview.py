"""A photo as a browser shows it: JPEG, upright, sRGB, no larger than is looked at, and nothing else in the file."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

from uncnn.plugins.api import Pixels

THUMBNAIL_PX: Final = 400
"""Up to this size a picture is looked at small: fewer bytes count more than colour at edges."""


AROUND: Final = 1.6
"""Of the longer side of a face's box: the side of the square in which it is shown."""


def around(photo: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """Return the square around a face of a photo, (H, W, 3), as much of it as lies in the photo: one pixel at least."""
    left, top, right, bottom = box
    half = max(AROUND * max(right - left, bottom - top) / 2, 1)
    height, width = photo.shape[:2]
    rows, columns = _within((top + bottom) / 2, half, height), _within((left + right) / 2, half, width)
    return np.ascontiguousarray(photo[rows, columns])


def _within(centre: float, half: float, pixels: int) -> slice:
    start = min(max(round(centre - half), 0), pixels - 1)
    return slice(start, max(min(round(centre + half), pixels), start + 1))


def preview(photo: Pixels, longest: int) -> bytes:
    """Return a photo, (H, W, 3) uint8 RGB, as JPEG whose longer side has at most so many pixels."""
    image = Image.fromarray(photo)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=3.0)
    small = longest <= THUMBNAIL_PX
    made = BytesIO()
    image.save(made, "JPEG", quality=80 if small else 93, subsampling="4:2:0" if small else "4:4:4", optimize=small)
    return made.getvalue()
