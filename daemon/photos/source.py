"""What the encoder has to know of the source so as to be no worse: tables, chroma, compression, resolution."""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np
from PIL import Image, JpegImagePlugin, TiffImagePlugin

from uncnn.daemon.photos import headers
from uncnn.daemon.photos.values import Encoding, Format

_SUBSAMPLING: Final = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
_TIFF_LOSSLESS: Final = {"raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"}


def source_encoding(image: Image.Image, data: bytes, photo_format: Format, orientation: int) -> Encoding:
    """Return what the encoder has to know of the source."""
    sideways = orientation >= 5
    dots = _dots_per_inch(image, sideways)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return Encoding(
            quantisation=_quantisation(image, sideways),
            subsampling=_jpeg_subsampling(image, sideways),
            progressive=bool(image.info.get("progressive")),
            dots_per_inch=dots,
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        found = str(image.info.get("compression"))
        compression = found if found in _TIFF_LOSSLESS else "tiff_adobe_deflate"
        return Encoding(compression=compression, dots_per_inch=dots)
    if photo_format == "WEBP":
        return Encoding(lossless=headers.webp_is_lossless(data))
    return Encoding(subsampling=_box_subsampling(image, data, photo_format), dots_per_inch=dots)


def _quantisation(image: JpegImagePlugin.JpegImageFile, sideways: bool) -> tuple[tuple[int, ...], ...]:
    """Return a table for each component, turned with the photo, or nothing where CMYK became RGB."""
    if image.layers == 4:
        return ()
    tables = [np.array(image.quantization[layer[3]], dtype=np.int64).reshape(8, 8) for layer in image.layer]
    return tuple(tuple(int(step) for step in (table.T if sideways else table).ravel()) for table in tables)


def _jpeg_subsampling(image: JpegImagePlugin.JpegImageFile, sideways: bool) -> str:
    """Return the source's chroma subsampling, or 4:4:4 where libjpeg's three cannot say it (4:4:0, 4:1:1)."""
    found = _SUBSAMPLING.get(JpegImagePlugin.get_sampling(image), "4:4:4")
    return "4:4:4" if sideways and found == "4:2:2" else found


def _box_subsampling(image: Image.Image, data: bytes, photo_format: Format) -> str:
    """Return the chroma subsampling of a HEIF or AVIF."""
    if photo_format == "AVIF":
        halved = [flags & 0x0C for flags in headers.av1_flags(data) if not flags & 0x10]
        return {0x0C: "4:2:0", 0x08: "4:2:2"}.get(min(halved, default=0x0C), "4:4:4")
    found = re.sub(r"\D", "", str(image.info.get("chroma", "")))
    return {"420": "4:2:0", "422": "4:2:2"}.get(found, "4:4:4")


def _dots_per_inch(image: Image.Image, sideways: bool) -> tuple[float, float] | None:
    """Return the resolution across and down where the file gives a sensible one."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65535 for value in (across, down)):
        return None
    return (down, across) if sideways else (across, down)
