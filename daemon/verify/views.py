"""What happens to a photo after it is published: the re-encodings under which a verdict must hold.

The names are part of the configuration, so that parsing them needs no image library; making one does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np

from uncnn.plugins.api import Pixels, UncnnError


@dataclass(frozen=True, slots=True)
class View:
    """One re-encoding."""

    kind: Literal["as-is", "jpeg", "half-size"]
    quality: int = 0  # of `jpeg`, 1..100


def parse_view(name: str) -> View:
    """Return the view called `name`: `as-is`, `jpeg-NN` (NN 1 to 100) or `half-size`.

    Raises UncnnError that lists what is allowed.
    """
    if name in ("as-is", "half-size"):
        return View("as-is" if name == "as-is" else "half-size")
    found = re.fullmatch(r"jpeg-([1-9][0-9]?|100)", name)
    if found is None:
        raise UncnnError(f"view {name!r} is not known: use as-is, jpeg-NN with NN from 1 to 100, or half-size")
    return View("jpeg", int(found[1]))


def reencode(pixels: Pixels, view: str) -> Pixels:
    """Return `pixels`, (H, W, 3) uint8 RGB, as they look after `view`, at the same size.

    `jpeg-NN` is JPEG at that quality with chroma 4:2:0; `half-size` is halved by area and enlarged again bicubically.

    Raises UncnnError for an unknown view.
    """
    parsed = parse_view(view)
    if parsed.kind == "as-is":
        return pixels
    return _as_jpeg(pixels, parsed.quality) if parsed.kind == "jpeg" else _halved(pixels)


def _as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(buffer, formats=["JPEG"]) as image:
        return np.array(image)


def _halved(pixels: Pixels) -> Pixels:
    from PIL import Image

    image = Image.fromarray(pixels)
    half = image.resize(((image.width + 1) // 2, (image.height + 1) // 2), Image.Resampling.BOX)
    return np.array(half.resize(image.size, Image.Resampling.BICUBIC))
