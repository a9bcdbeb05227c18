"""Bytes of a photo file -> Photo: upright, sRGB, 8 bits.

Pillow and libheif decode; what they would do quietly (reduce 16 bits, show one frame of many, warn on the terminal,
raise whatever their parsers raise) becomes one PhotoError.
"""

from __future__ import annotations

import ctypes
import logging
import warnings
from contextlib import suppress
from io import BytesIO
from typing import Final, cast

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, UnidentifiedImageError, _imaging

from uncnn.daemon.photos import headers
from uncnn.daemon.photos.colour import to_srgb
from uncnn.daemon.photos.source import source_encoding
from uncnn.daemon.photos.values import PIXEL_LIMIT, Alpha, Format, Photo, PhotoError
from uncnn.daemon.wording import printable

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT  # a second guard, which raises at twice this; ours comes first and is lower
warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\b")  # a terminal is no place for a decoder's remarks
logging.getLogger("PIL").addHandler(logging.NullHandler())


def _silence_libtiff() -> None:
    """Tell libtiff, which writes its errors to the terminal by itself, not to: Pillow raises them as well."""
    with suppress(AttributeError, OSError):  # linked in without its names: then it stays as it is
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler.argtypes = [ctypes.c_void_p]
        library.TIFFSetErrorHandler.restype = ctypes.c_void_p
        library.TIFFSetErrorHandler(None)


_silence_libtiff()

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GREY_MODES: Final = {"1", "L", "LA", "La"}
_MODES: Final = _GREY_MODES | {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}


def decode(data: bytes, name: str, pixel_limit: int = PIXEL_LIMIT) -> Photo:
    """Return the photo in `data`; `name` is only for messages, the content says what it is.

    `pixel_limit` is read from the header before anything is decoded.

    Raises PhotoError, whose `kind` says why: `empty`, `truncated`, `damaged`, `not-a-photo`, `too-large`, `animated`
    or `unsupported`.
    """
    name = printable(name)
    photo_format = headers.sniff(data, name)
    headers.check_header(data, photo_format, name, pixel_limit)
    try:
        with Image.open(BytesIO(data), formats=[photo_format]) as image:
            headers.check_size(image.size, name, pixel_limit)
            _check_opened(image, photo_format, name)
            return _photo(image, data, photo_format, name)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        message = f"{name} has more than twice {PIXEL_LIMIT / 1e6:g} megapixels: make it smaller"
        raise PhotoError("too-large", message) from error
    except MemoryError as error:
        raise PhotoError("too-large", f"{name} needs more memory than there is: make it smaller") from error
    except Exception as error:  # the parsers raise OSError, ValueError, struct.error, KeyError, ...
        raise _failure(error, data, photo_format, name) from error


def _failure(error: Exception, data: bytes, photo_format: Format, name: str) -> PhotoError:
    if "truncated" in str(error).lower() or headers.cut_short(data, photo_format):
        return PhotoError("truncated", f"{name} is cut short ({len(data)} bytes of a {photo_format}): copy it again")
    if isinstance(error, UnidentifiedImageError):
        reason = "its header makes no sense"
    else:
        reason = printable(str(error))[:120] or type(error).__name__
    return PhotoError("damaged", f"{name} cannot be read as {photo_format} ({reason}): export it again")


def _check_opened(image: Image.Image, photo_format: Format, name: str) -> None:
    """Refuse several frames, deep samples and odd colour models, as the opened header tells them."""
    frames = getattr(image, "n_frames", 1) if photo_format in ("PNG", "WEBP", "HEIF", "AVIF") else 1
    if frames > 1:
        raise PhotoError("animated", f"{name} holds {frames} pictures: export the one that is the photo")
    if image.info.get("bit_depth", 8) > 8:
        raise headers.deep(name, f"{image.info['bit_depth']} bits a sample")
    if image.mode not in _MODES:
        raise PhotoError("unsupported", f"{name} has the colour mode {image.mode}: export it as RGB with 8 bits")


def _photo(image: Image.Image, data: bytes, photo_format: Format, name: str) -> Photo:
    """Return the photo of an image that was opened and found fit."""
    notes: list[str] = []
    image.load()
    orientation = _orientation(image)
    grey = image.mode in _GREY_MODES or _is_grey_palette(image) or _is_grey_box(image, data, photo_format)
    flat = _in_colour(image, grey, name, notes)
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if orientation in _TURNS:
        flat = flat.transpose(_TURNS[orientation])
        alpha = alpha.transpose(_TURNS[orientation]) if alpha else None
    if image.format == "MPO":
        notes.append("further pictures inside the file (MPO) are left out")
    if image.mode in ("P", "PA", "1"):
        notes.append("its palette becomes full colour" if not grey else "its palette becomes 256 greys")
    return Photo(
        pixels=np.array(flat.convert("RGB")),
        alpha=cast(Alpha, np.array(alpha)) if alpha else None,
        grey=grey,
        format=photo_format,
        encoding=source_encoding(image, data, photo_format, orientation),
        notes=tuple(notes),
    )


def _in_colour(image: Image.Image, grey: bool, name: str, notes: list[str]) -> Image.Image:
    """Return `image` without alpha, in sRGB, as L where it is grey and as RGB otherwise."""
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK" and not profile:
        raise PhotoError("unsupported", f"{name} is CMYK without a colour profile: export it as RGB")
    if image.mode in ("RGBa", "La"):  # premultiplied
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    flat = image if image.mode == "CMYK" else image.convert("L" if grey else "RGB")
    if "icc_profile" not in image.info:
        return flat
    try:
        flat, note = to_srgb(flat, profile or b"")
    except Exception as error:  # Little CMS raises PyCMSError, OSError, ValueError and more for broken profiles
        if image.mode == "CMYK":
            message = f"{name} is CMYK with a broken colour profile: export it as RGB"
            raise PhotoError("unsupported", message) from error
        note = "its colour profile is broken and was ignored"
    notes.extend([note] if note else [])
    return flat


def _is_grey_palette(image: Image.Image) -> bool:
    """Return whether every colour of the palette is grey."""
    if image.mode not in ("P", "PA"):
        return False
    colours = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _is_grey_box(image: Image.Image, data: bytes, photo_format: Format) -> bool:
    """Return whether a HEIF or AVIF, which Pillow may open as RGB, holds luma only."""
    if photo_format == "HEIF":
        luma_only = "chroma" not in image.info  # pillow-heif names the chroma of what has one
    else:
        flags = headers.av1_flags(data) if photo_format == "AVIF" else []
        luma_only = bool(flags) and all(flag & 0x10 for flag in flags)
    if not luma_only:
        return False
    colours = np.asarray(image.convert("RGB"))
    return bool((colours == colours[..., :1]).all())


def _orientation(image: Image.Image) -> int:
    """Return 1 to 8 (EXIF 2.32, tag 0x0112) as still to be done after loading.

    Only EXIF counts, as in browsers; Pillow has turned a TIFF by itself, and libheif a HEIC.
    """
    exif = image.info.get("exif")
    if image.format in ("TIFF", "HEIF") or not isinstance(exif, bytes):
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        return int(tags.get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF: browsers show the photo as it is stored, and so do we
        return 1
