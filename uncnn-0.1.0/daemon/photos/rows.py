"""Pictures taken over in bands of rows, so that a large one is never held in one form more than is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from uncnn.plugins.api import Pixels

BAND_PIXELS: Final = 1 << 20


def bands(height: int, width: int) -> Iterator[slice]:
    """Yield the rows of a picture, about a megapixel at a time."""
    step = max(BAND_PIXELS // max(width, 1), 1)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def array_of(image: Image.Image) -> Pixels:
    """Return the samples of an image of mode L, RGB or CMYK, (H, W, C): numpy would hold them three times meanwhile."""
    result = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    for rows in bands(image.height, image.width):
        band = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
        result[rows] = band.reshape(rows.stop - rows.start, image.width, -1)
    return result
