"""A photo as a browser shows it: JPEG, upright, sRGB, no larger than is looked at, and nothing else in the file."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from PIL import Image

from uncnn.plugins.api import Pixels

THUMBNAIL_PX: Final = 400
"""Up to this size a picture is looked at small: fewer bytes count more than colour at edges."""


def preview(photo: Pixels, longest: int) -> bytes:
    """Return a photo, (H, W, 3) uint8 RGB, as JPEG whose longer side has at most so many pixels."""
    image = Image.fromarray(photo)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=3.0)
    small = longest <= THUMBNAIL_PX
    made = BytesIO()
    image.save(made, "JPEG", quality=80 if small else 93, subsampling="4:2:0" if small else "4:4:4", optimize=small)
    return made.getvalue()
