"""A picture as the bytes of each format: one writer a format, and none is given more than what is to be said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from PIL import Image

from uncnn.daemon.photos import deep, jpeg, png, tiff
from uncnn.daemon.photos.metadata import EXIF_NAME, exif_bytes
from uncnn.daemon.photos.packets import TIFF_TAG
from uncnn.daemon.photos.rows import bands
from uncnn.daemon.photos.values import MODES, Format, Stored

Options: TypeAlias = dict[str, Any]
Quality: TypeAlias = int | Literal["same"]

_START_QUALITY: Final = {"JPEG": 95, "WEBP": 90, "AVIF": 90, "HEIF": 85, "TIFF": 95}  # where the source tells none
_LEAST_QUALITY: Final = 30
_TRIES: Final = 6
_HALVING: Final = 14.0  # a step of quality that takes about half of the bytes away
_HEIF_PRESET: Final = "veryfast"  # x265's `slow`, the default, takes 24 s for 12 megapixels and gains no quality


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a picture is to be written."""

    quality: Quality
    exif: Image.Exif
    lossless: bool = False  # the source is
    xmp: bytes = b""
    source: Format | None = None  # whose way of encoding is the picture's own; None: of another format
    most_bytes: float | None = None  # at quality `same`; None: no matter


def write(stored: Stored, chosen: Format, wanted: Wanted) -> bytes:
    """Return the file. Raises what the encoders raise: OSError, ValueError, RuntimeError, struct.error."""
    return WRITERS[chosen](stored, wanted)


def _image(stored: Stored) -> Image.Image:
    """Return a new image that holds the picture and nothing else."""
    if stored.palette is not None:
        return _indexed(stored)
    channels = stored.samples.shape[2]
    samples = np.ascontiguousarray(stored.samples[..., 0] if channels == 1 else stored.samples)
    image = Image.fromarray(samples, MODES[channels])
    if stored.alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(stored.alpha)))
    elif channels == 1 and all(
        bool(((samples[rows] == 0) | (samples[rows] == 255)).all()) for rows in bands(*samples.shape)
    ):
        image = image.convert("1", dither=Image.Dither.NONE)
    return image


def _indexed(stored: Stored) -> Image.Image:
    assert stored.palette is not None
    image = Image.fromarray(np.ascontiguousarray(stored.palette.indices), "P")
    image.putpalette(stored.palette.colours.tobytes())
    return image


def _saved(image: Image.Image, name: str, options: Options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def _at_best(image: Image.Image, name: Format, options: Options, wanted: Wanted) -> bytes:
    """Return the file at the wanted quality; at `same`, at the first that stays inside the bytes it may have."""
    if wanted.quality != "same":
        return _saved(image, name, {**options, "quality": wanted.quality})
    quality = _START_QUALITY[name]
    for _ in range(_TRIES):
        data = _saved(image, name, {**options, "quality": quality})
        if wanted.most_bytes is None or len(data) <= wanted.most_bytes or quality == _LEAST_QUALITY:
            break
        step = max(math.ceil(_HALVING * math.log2(len(data) / wanted.most_bytes)), 2)
        quality = max(quality - step, _LEAST_QUALITY)
    return data


def _jpeg(stored: Stored, wanted: Wanted) -> bytes:
    source, image = stored.encoding, _eight_bits(_image(stored))
    own = wanted.source == "JPEG"
    options: Options = {"optimize": True, "progressive": own and source.progressive}
    if image.mode != "CMYK":
        options["subsampling"] = source.subsampling if wanted.source != "WEBP" else "4:2:0"
    if own and wanted.quality == "same" and source.quantisation and image.mode != "CMYK":
        first, *others = source.quantisation
        tables = [first, *(others[:1] if len(set(others)) == 1 else others)]
        data = _saved(image, "JPEG", {**options, "qtables": tables})
    else:
        data = _at_best(image, "JPEG", options, wanted)
    return jpeg.with_head(data, jpeg.head(source.dots_per_inch, exif_bytes(wanted.exif), stored.profile, wanted.xmp))


def _png(stored: Stored, wanted: Wanted) -> bytes:
    dots, exif = stored.encoding.dots_per_inch, exif_bytes(wanted.exif)
    chunks = [*stored.chunks]
    chunks += [png.profile_chunk(stored.profile)] if stored.profile else []
    chunks += [png.resolution_chunk(dots)] if dots else []
    chunks += [png.xmp_chunk(wanted.xmp)] if wanted.xmp else []
    tags = [(b"eXIf", exif.removeprefix(EXIF_NAME))] if exif else []
    late = stored.encoding.late_exif
    return png.with_chunks(_png_pixels(stored, wanted), chunks + tags * (not late), tags * late)


def _png_pixels(stored: Stored, wanted: Wanted) -> bytes:
    if stored.samples.dtype != np.uint8:
        return deep.write_png(stored.samples, stored.alpha)  # type: ignore[arg-type] # 16 bits, as just seen
    options: Options = {}
    if stored.palette is not None and stored.palette.opacity:
        options["transparency"] = stored.palette.opacity
    data = _saved(_image(stored), "PNG", options)
    if wanted.most_bytes is not None and len(data) > wanted.most_bytes:
        data = min(data, _saved(_image(stored), "PNG", {**options, "optimize": True}), key=len)
    return data


def _tiff(stored: Stored, wanted: Wanted) -> bytes:
    page = wanted.exif.get_ifd(tiff.EXIF_PAGE)
    tags = {tag: value for tag, value in wanted.exif.items() if tag != tiff.EXIF_PAGE}
    tags |= {TIFF_TAG: wanted.xmp} if wanted.xmp else {}
    data = _tiff_of(stored, wanted, tags)
    return tiff.with_exif_page(data, page) if page else data


def _tiff_of(stored: Stored, wanted: Wanted, tags: dict[int, Any]) -> bytes:
    """Return a TIFF with these tags of the page itself."""
    if stored.samples.dtype != np.uint8:
        return deep.write_tiff(stored, tags)
    image, encoding = _image(stored), stored.encoding
    options: Options = {"icc_profile": stored.profile} if stored.profile else {}
    options |= {"dpi": encoding.dots_per_inch} if encoding.dots_per_inch else {}
    options |= {"tiffinfo": tags} if tags else {}
    if wanted.source == "TIFF" and not wanted.lossless and image.mode in ("L", "RGB"):
        return _at_best(image, "TIFF", {**options, "compression": "jpeg"}, wanted)
    compression = encoding.compression if wanted.source == "TIFF" else "tiff_adobe_deflate"
    if compression in ("group3", "group4") and image.mode != "1":
        compression = "tiff_adobe_deflate"
    return _saved(image, "TIFF", {**options, "compression": compression})


def _webp(stored: Stored, wanted: Wanted) -> bytes:
    options: Options = {"icc_profile": stored.profile} if stored.profile else {}
    options |= {"exif": exif_bytes(wanted.exif)} if wanted.exif else {}
    options |= {"xmp": wanted.xmp} if wanted.xmp else {}
    if wanted.quality == "same" and wanted.lossless:
        return _saved(_image(stored), "WEBP", {**options, "lossless": True, "exact": True})
    return _at_best(_image(stored), "WEBP", options, wanted)


def _heif(stored: Stored, wanted: Wanted) -> bytes:
    chroma = stored.encoding.subsampling.replace(":", "")
    options: Options = {"enc_params": {"preset": _HEIF_PRESET, "chroma": chroma}}
    options |= {"icc_profile": stored.profile} if stored.profile else {}
    options |= {"exif": exif_bytes(wanted.exif)} if wanted.exif else {}
    options |= {"xmp": wanted.xmp} if wanted.xmp else {}
    return _at_best(_eight_bits(_image(stored)), "HEIF", options, wanted)


def _avif(stored: Stored, wanted: Wanted) -> bytes:
    grey = stored.samples.shape[2] == 1
    options: Options = {"subsampling": "4:0:0" if grey else stored.encoding.subsampling}
    options |= {"icc_profile": stored.profile} if stored.profile else {}
    options |= {"exif": exif_bytes(wanted.exif)} if wanted.exif else {}
    options |= {"xmp": wanted.xmp} if wanted.xmp else {}
    return _at_best(_eight_bits(_image(stored)), "AVIF", options, wanted)


def _eight_bits(image: Image.Image) -> Image.Image:
    return image.convert("L") if image.mode == "1" else image


def _bmp(stored: Stored, _wanted: Wanted) -> bytes:
    dots = stored.encoding.dots_per_inch
    return _saved(_image(stored), "BMP", {"dpi": dots} if dots else {})


def _gif(stored: Stored, _wanted: Wanted) -> bytes:
    clear = stored.palette.opacity.find(b"\0") if stored.palette is not None else -1
    return _saved(_image(stored), "GIF", {"optimize": False} | ({"transparency": clear} if clear >= 0 else {}))


WRITERS: Final[Mapping[Format, Callable[[Stored, Wanted], bytes]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": _tiff,
    "HEIF": _heif,
    "AVIF": _avif,
    "BMP": _bmp,
    "GIF": _gif,
}
