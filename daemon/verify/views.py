"""What happens to a photo after it is published: the changes under which a verdict must hold.

The names are part of the configuration, so that parsing them needs no image library; making one does.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np

from uncnn.plugins.api import Pixels, UncnnError


@dataclass(frozen=True, slots=True)
class View:
    """One change of a whole photo."""

    kind: Literal["as-is", "jpeg", "half-size", "blur"]
    quality: int = 0  # of `jpeg`, 1..100
    sigma_px: float = 0.0  # of `blur`, in pixels of the photo


def parse_view(name: str) -> View:
    """Return the view called `name`: `as-is`, `jpeg-NN` (NN 1 to 100), `half-size` or `blur-S` (S px, 0.1 to 9.9).

    Raises UncnnError that lists what is allowed.
    """
    if name in ("as-is", "half-size"):
        return View("as-is" if name == "as-is" else "half-size")
    if found := re.fullmatch(r"jpeg-([1-9][0-9]?|100)", name):
        return View("jpeg", quality=int(found[1]))
    if found := re.fullmatch(r"blur-([1-9](?:\.[1-9])?|0\.[1-9])", name):
        return View("blur", sigma_px=float(found[1]))
    digits = re.sub(r"[^0-9.]", "", name)
    meant = difflib.get_close_matches(name, ("as-is", "half-size", f"jpeg-{digits or 75}", f"blur-{digits or 1}"), n=1)
    hint = f"did you mean {meant[0]}? " if meant and meant[0] != name else ""
    raise UncnnError(
        f"view {name!r} is not known: {hint}use as-is, jpeg-NN with NN from 1 to 100, half-size, or blur-S with S from "
        "0.1 to 9.9 pixels"
    )


def reencode(pixels: Pixels, view: str) -> Pixels:
    """Return `pixels`, (H, W, 3) uint8 RGB, as they look after `view`, at the same size.

    `jpeg-NN` is JPEG at that quality with chroma 4:2:0; `half-size` is halved by area and enlarged again bicubically;
    `blur-S` is a Gaussian of sigma S pixels (Pillow's, which sums boxes of that standard deviation).

    Raises UncnnError for an unknown view.
    """
    parsed = parse_view(view)
    if parsed.kind == "as-is":
        return pixels
    if parsed.kind == "blur":
        return _blurred(pixels, parsed.sigma_px)
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


def _blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    from PIL import Image, ImageFilter

    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px)))  # its radius is the sigma
