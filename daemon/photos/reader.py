"""Bytes of a photo file -> Photo: upright, sRGB, 8 bits.

Pillow and libheif decode; what they would do quietly (reduce 16 bits, show one frame of many, warn on the terminal,
raise whatever their parsers raise) becomes one PhotoError.
"""

from __future__ import annotations

import ctypes
import logging
import warnings
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pillow_heif
from PIL import Image, UnidentifiedImageError, _imaging

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos import headers
from uncnn.daemon.photos.colour import changes_colours, to_srgb
from uncnn.daemon.photos.completeness import check_whole
from uncnn.daemon.photos.deep import reduced
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.metadata import exif_of
from uncnn.daemon.photos.needs import check_need
from uncnn.daemon.photos.opening import open_image
from uncnn.daemon.photos.rows import bands
from uncnn.daemon.photos.stored import read_stored, read_unopened
from uncnn.daemon.photos.turning import upright
from uncnn.daemon.photos.values import MODES, PIXEL_LIMIT, Note, Photo, PhotoError, Stored, deep_error
from uncnn.daemon.text import printable
from uncnn.plugins.api import Pixels

pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
Image.preinit()  # not at the first photo: in the sandbox what Python compiles is not kept, and is compiled each time
Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT  # a second guard, which raises at twice this; ours comes first and is lower
warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\b")  # a terminal is no place for a decoder's remarks
for _library in ("PIL", "tifffile", "imagecodecs"):
    logging.getLogger(_library).addHandler(logging.NullHandler())


def _silence_libtiff() -> None:
    """Tell libtiff, which writes its errors to the terminal by itself, not to: Pillow raises them as well."""
    with suppress(AttributeError, OSError):  # linked in without its names: then it stays as it is
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler.argtypes = [ctypes.c_void_p]
        library.TIFFSetErrorHandler.restype = ctypes.c_void_p
        library.TIFFSetErrorHandler(None)


_silence_libtiff()


def decode(data: bytes, name: str, pixel_limit: int = PIXEL_LIMIT, written_here: bool = False) -> Photo:
    """Return the photo in `data`; `name` is only for messages, the content says what it is.

    `pixel_limit` is read from the header before anything is decoded. Where a file was `written_here`, it is not asked
    whether its writer is done.

    Raises PhotoError, whose `kind` says why: `empty`, `truncated`, `damaged`, `not-a-photo`, `too-large`, `no-memory`,
    `animated` or `unsupported`.
    """
    name = printable(name)
    photo_format = headers.sniff(data, name)
    size = headers.check_header(data, photo_format, name, pixel_limit)
    if not written_here:
        check_whole(data, photo_format, name)
    if size is not None:
        check_need(data, photo_format, size, name)

    def check_opened(opened: tuple[int, int]) -> None:
        headers.check_size(opened, name, pixel_limit)
        if size is None:
            check_need(data, photo_format, opened, name)

    notes: list[str] = []
    try:
        return _photo(_stored(data, photo_format, name, check_opened, notes.append), photo_format, notes, data)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        message = f"{name} has more than twice {PIXEL_LIMIT / 1e6:g} megapixels: make it smaller"
        raise PhotoError("too-large", message) from error
    except MemoryError as error:
        raise PhotoError("too-large", f"{name} needs more memory than there is: make it smaller") from error
    except Exception as error:  # the parsers raise OSError, ValueError, struct.error, KeyError, ...
        raise _failure(error, data, photo_format, name) from error


def stored_again(photo: Photo) -> Stored:
    """Return the picture of a photo as its file stores it: it is not kept, because a large one is large."""
    return _stored(photo.source, photo.format, "photo", lambda _size: None, lambda _note: None)


def exif_of_photo(photo: Photo) -> Image.Exif:
    """Return the EXIF of the file of a photo, empty where there is none or it is broken."""
    own = FORMATS[photo.format]
    if own.is_exif:
        return exif_of(photo.source)
    with open_image(photo.source, photo.format) as image:
        if own.late_exif:
            image.load()
        return exif_of(image.info.get("exif"))


def _stored(
    data: bytes, photo_format: Format, name: str, check: Callable[[tuple[int, int]], None], note: Note
) -> Stored:
    unopened = read_unopened(data, photo_format, name, note)
    if unopened is not None:
        return unopened
    with open_image(data, photo_format) as image:
        check(image.size)
        _check_opened(image, photo_format, name)
        return read_stored(image, data, photo_format, name, note)


def _failure(error: Exception, data: bytes, photo_format: Format, name: str) -> PhotoError:
    if "truncated" in str(error).lower():
        return PhotoError("truncated", f"{name} is incomplete ({len(data)} bytes of a {photo_format}): copy it again")
    return PhotoError("damaged", f"{name} cannot be read as {photo_format} ({_reason(error)}): export it again")


def _reason(error: Exception) -> str:
    """Return what is wrong in words that a person understands: those of a program's own confusion are none."""
    if isinstance(error, UnidentifiedImageError):
        return "its header is damaged"
    words = printable(str(error))[:120]
    if type(error).__module__.startswith("imagecodecs") or words.startswith("decoder error"):
        return "its compressed data is damaged"
    if not words or not isinstance(error, OSError | SyntaxError | EOFError | RuntimeError):
        return "the file is inconsistent"
    return words


def _check_opened(image: Image.Image, photo_format: Format, name: str) -> None:
    """Refuse several frames and samples that would be reduced, as the opened header tells them."""
    frames = getattr(image, "n_frames", 1) if FORMATS[photo_format].several else 1
    if frames > 1:
        raise PhotoError("animated", f"{name} holds {frames} pictures: export a single picture")
    if image.info.get("bit_depth", 8) > 8:
        raise deep_error(name, f"{image.info['bit_depth']} bits a sample")


def _photo(stored: Stored, photo_format: Format, notes: list[str], data: bytes) -> Photo:
    """Return the photo that people see in the picture that is stored."""
    pixels = seen(stored)
    alpha = None if stored.alpha is None else np.ascontiguousarray(reduced(upright(stored.alpha, stored.orientation)))
    return Photo(
        pixels=np.ascontiguousarray(upright(pixels, stored.orientation)),
        alpha=alpha,
        grey=stored.samples.shape[2] == 1,
        format=photo_format,
        encoding=stored.encoding,
        orientation=stored.orientation,
        profile=stored.profile,
        plain=stored.samples.dtype == np.uint8 and not changes_colours(stored.profile, stored.samples.shape[2]),
        notes=tuple(notes),
        source=data,
    )


def _in_srgb(samples: Pixels, profile: bytes | None) -> Pixels:
    """Return samples (H, W, C) in sRGB, (H, W, 3) or (H, W, 1)."""
    channels = samples.shape[2]
    result = np.empty((*samples.shape[:2], 1 if channels == 1 else 3), np.uint8)
    for rows in bands(*samples.shape[:2]):
        plain = Image.fromarray(samples[rows, :, 0] if channels == 1 else samples[rows], MODES[channels])
        result[rows] = np.asarray(to_srgb(plain, profile)[0]).reshape(*result[rows].shape)
    return result


def seen(stored: Stored) -> Pixels:
    """Return the samples in sRGB with 8 bits, (H, W, 3), not turned."""
    samples = reduced(stored.samples)
    channels = samples.shape[2]
    if stored.profile is not None or channels == 4:
        samples = _in_srgb(samples, stored.profile)
    return samples if samples.shape[2] == 3 else np.repeat(samples, 3, axis=2)
