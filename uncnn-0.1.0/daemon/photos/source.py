"""What the encoder has to know of the source so as to be no worse: tables, chroma, compression, resolution."""

from __future__ import annotations

import math
import re
from typing import Final

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from uncnn.daemon.photos import headers, webp
from uncnn.daemon.photos.metadata import exif_of
from uncnn.daemon.photos.png import chunks_of
from uncnn.daemon.photos.values import Encoding, Format

_SUBSAMPLING: Final = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
_TIFF_LOSSLESS: Final = {"raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4"}


def source_encoding(image: Image.Image, data: bytes, photo_format: Format) -> Encoding:
    """Return what the encoder has to know of the source."""
    dots = _dots_per_inch(image)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return Encoding(
            quantisation=_quantisation(image),
            subsampling=_SUBSAMPLING.get(JpegImagePlugin.get_sampling(image), "4:4:4"),  # libjpeg's three alone
            lossless=False,
            progressive=bool(image.info.get("progressive")),
            dots_per_inch=dots,
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        found = str(image.info.get("compression"))
        compression = found if found in _TIFF_LOSSLESS else "tiff_adobe_deflate"
        return Encoding(compression=compression, lossless=found != "jpeg", dots_per_inch=dots)
    if photo_format == "WEBP":
        return Encoding(lossless=webp.is_lossless(data))
    if photo_format in ("HEIF", "AVIF"):
        chroma = _box_subsampling(image, data, photo_format)
        return Encoding(subsampling=chroma, lossless=False, dots_per_inch=dots)
    late = photo_format == "PNG" and "exif" in image.info and all(name != b"eXIf" for name, _ in chunks_of(data))
    return Encoding(dots_per_inch=dots, late_exif=late)


def _quantisation(image: JpegImagePlugin.JpegImageFile) -> tuple[tuple[int, ...], ...]:
    """Return a table for each component."""
    return tuple(tuple(map(int, image.quantization[layer[3]])) for layer in image.layer)


def _box_subsampling(image: Image.Image, data: bytes, photo_format: Format) -> str:
    """Return the chroma subsampling of a HEIF or AVIF."""
    if photo_format == "AVIF":
        halved = [flags & 0x0C for flags in headers.av1_flags(data) if not flags & 0x10]
        return {0x0C: "4:2:0", 0x08: "4:2:2"}.get(min(halved, default=0x0C), "4:4:4")
    found = re.sub(r"\D", "", str(image.info.get("chroma", "")))
    return {"420": "4:2:0", "422": "4:2:2"}.get(found, "4:4:4")


def _dots_per_inch(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution across and down where the file gives a sensible one."""
    silent = isinstance(image, JpegImagePlugin.JpegImageFile) and not image.info.get("jfif_unit")
    if silent and TiffImagePlugin.X_RESOLUTION not in exif_of(image, b"", "JPEG"):
        return None  # Pillow takes 72 where there is none
    if isinstance(image, TiffImagePlugin.TiffImageFile) and TiffImagePlugin.X_RESOLUTION not in image.tag_v2:
        return None  # Pillow takes 1 where there is none
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65535 for value in (across, down)):
        return None
    return round(across, 2), round(down, 2)  # finer ones could be anything
