"""The line in every frame that says what it is: nobody has checked it."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from uncnn.plugins.api import Pixels

WORDS: Final = ("uncnn live: best effort, frames are not verified", "uncnn live: best effort", "best effort")
HEIGHT: Final = 16
"""Pixels, at the lower border."""

_INK, _PAPER = (232, 232, 232), (24, 24, 24)


def put(picture: Pixels) -> None:
    """Write the line over the lower border of a picture, (H, W, 3) uint8 RGB, in place."""
    strip = _strip(picture.shape[1])
    rows = min(HEIGHT, picture.shape[0])
    picture[-rows:] = strip[:rows]


@cache
def _strip(width: int) -> Pixels:
    image = Image.new("RGB", (width, HEIGHT), _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    words = next((each for each in WORDS if draw.textlength(each, font) <= width - 8), "")
    draw.text((4, 2), words, _INK, font)
    return np.asarray(image)
