"""Photo -> the bytes of a file: the source's format at no less than its quality, and none of its metadata.

The file is written from the pixels alone, so that nothing can be copied by mistake: no EXIF, GPS, XMP, comment,
thumbnail or appended data. What it says is its sRGB profile (grey photos need none) and its resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from PIL import Image

from uncnn.daemon.photos.colour import srgb_profile
from uncnn.daemon.photos.values import Format, Photo, PhotoError
from uncnn.daemon.wording import printable
from uncnn.plugins.api import Pixels

Options: TypeAlias = dict[str, Any]
Quality: TypeAlias = int | Literal["same"]

_JPEG_QUALITY: Final = 95  # where the source has no tables to reuse
_WEBP_QUALITY: Final = 90
_AVIF_QUALITY: Final = 90
_HEIF_QUALITY: Final = 85
_HEIF_PRESET: Final = "veryfast"  # x265's `slow`, the default, takes 24 s for 12 megapixels and gains no quality


def encode(
    photo: Photo, pixels: Pixels, photo_format: Format | Literal["same"] = "same", quality: Quality = "same"
) -> bytes:
    """Return the file of `photo` with `pixels`, (H, W, 3) uint8, in their place; quality is 1..100.

    PNG, TIFF, BMP and lossless WebP give back exactly these pixels (a grey photo their luma).

    Raises PhotoError (`unwritable`), and ValueError where the shape is not that of the photo.
    """
    if pixels.shape != photo.pixels.shape or pixels.dtype != np.uint8:
        raise ValueError(f"pixels {pixels.shape} {pixels.dtype} for a photo of {photo.pixels.shape} uint8")
    chosen: Format = photo.format if photo_format == "same" else photo_format
    if chosen in ("JPEG", "BMP") and photo.alpha is not None:
        raise PhotoError("unwritable", f"{chosen} holds no transparency, and the photo has some: choose png or webp")
    options = _WRITERS[chosen](photo, quality)
    if not photo.grey:
        options["icc_profile"] = srgb_profile()
    buffer = BytesIO()
    try:
        _image(photo, pixels).save(buffer, chosen, **options)
    except Exception as error:  # encoders raise OSError, ValueError, RuntimeError, struct.error
        height, width = pixels.shape[:2]
        reason = printable(str(error))[:120]
        message = f"a photo of {width} x {height} cannot be written as {chosen} ({reason}): choose another format"
        raise PhotoError("unwritable", message) from error
    return buffer.getvalue()


def _image(photo: Photo, pixels: Pixels) -> Image.Image:
    """Return a new image that holds the pixels and nothing else."""
    image = Image.fromarray(pixels)
    if photo.grey:
        image = image.convert("L")
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    return image


def _jpeg(photo: Photo, quality: Quality) -> Options:
    source = photo.encoding
    options: Options = {"optimize": True, "progressive": source.progressive}
    if source.dots_per_inch:
        options["dpi"] = source.dots_per_inch
    options["subsampling"] = source.subsampling
    if quality == "same" and source.quantisation:
        first, *others = source.quantisation
        options["qtables"] = [first, *(others[:1] if len(set(others)) == 1 else others)]
    else:
        options["quality"] = _JPEG_QUALITY if quality == "same" else quality
    return options


def _png(photo: Photo, _quality: Quality) -> Options:
    return {"dpi": photo.encoding.dots_per_inch} if photo.encoding.dots_per_inch else {}


def _tiff(photo: Photo, quality: Quality) -> Options:
    return {"compression": photo.encoding.compression} | _png(photo, quality)


def _webp(photo: Photo, quality: Quality) -> Options:
    if quality == "same" and (photo.encoding.lossless or photo.format in ("PNG", "TIFF", "BMP")):
        return {"lossless": True, "exact": True}
    return {"quality": _WEBP_QUALITY if quality == "same" else quality}


def _heif(photo: Photo, quality: Quality) -> Options:
    chroma = photo.encoding.subsampling.replace(":", "")
    chosen = _HEIF_QUALITY if quality == "same" else quality
    return {"quality": chosen, "enc_params": {"preset": _HEIF_PRESET, "chroma": chroma}}


def _avif(photo: Photo, quality: Quality) -> Options:
    subsampling = "4:0:0" if photo.grey else photo.encoding.subsampling
    return {"quality": _AVIF_QUALITY if quality == "same" else quality, "subsampling": subsampling}


_WRITERS: Final[dict[Format, Callable[[Photo, Quality], Options]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": _tiff,
    "HEIF": _heif,
    "AVIF": _avif,
    "BMP": _png,
}
