"""What happens to a photo after it is published: the changes under which a verdict must hold, made."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from uncnn.daemon.config.views import parse_view
from uncnn.plugins.api import Pixels


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
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(buffer, formats=["JPEG"]) as image:
        return np.array(image)


def _halved(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    half = image.resize(((image.width + 1) // 2, (image.height + 1) // 2), Image.Resampling.BOX)
    return np.array(half.resize(image.size, Image.Resampling.BICUBIC))


def _blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px)))  # its radius is the sigma
