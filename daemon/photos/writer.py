"""Photo -> the bytes of a file: what its source stores with the change in it, and none of what it says of its owner.

The file is written from what was decoded, so that nothing can be copied by mistake: no GPS, XMP, comment, thumbnail or
appended data. What it says is its colours (an ICC profile with nothing else in it), its resolution, how it is to be
turned where it was stored so, and the EXIF that the policy allows, value by value.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
from PIL import Image

from uncnn.daemon.config.policies import Metadata
from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.changing import changed, differing
from uncnn.daemon.photos.coefficients import OddJpegError
from uncnn.daemon.photos.containers import Quality, Wanted
from uncnn.daemon.photos.fitting import fitting
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.metadata import exif_bytes, kept
from uncnn.daemon.photos.panorama import packet_of, projection_of
from uncnn.daemon.photos.reader import decode, exif_of_photo, stored_again
from uncnn.daemon.photos.values import Photo, PhotoError
from uncnn.daemon.text import printable
from uncnn.plugins.api import Pixels

_MOST_GROWTH: Final = 1.25  # of a file whose quality its source does not tell
_SEEN: Final = 255  # an opacity that says nothing
_ANEW: Final = "the whole picture was compressed again: the unchanged parts of this kind of {} cannot be copied"


@dataclass(frozen=True, slots=True)
class Released:
    """The bytes that would be released, and what a person should know of them."""

    data: bytes
    notes: tuple[str, ...] = ()


def encode(
    photo: Photo,
    pixels: Pixels,
    photo_format: Format | Literal["same"] = "same",
    quality: Quality = "same",
    metadata: Metadata = "none",
) -> Released:
    """Return the file of `photo` with `pixels`, (H, W, 3) uint8 upright sRGB, in their place; quality is 1..100.

    Where the pixels are those of the photo, a lossless file stores what its source does to the bit, a JPEG the same
    coefficients, and a WebP, HEIF or AVIF the same coded picture.

    Raises PhotoError (`unwritable`), where the machine is at fault MemoryError or an OSError with an `errno`, as of a
    full disk, and ValueError where the shape is not that of the photo.
    """
    if pixels.shape != photo.pixels.shape or pixels.dtype != np.uint8:
        raise ValueError(f"pixels {pixels.shape} {pixels.dtype} for a photo of {photo.pixels.shape} uint8")
    chosen: Format = photo.format if photo_format == "same" else photo_format
    if FORMATS[chosen].opaque and photo.alpha is not None and not (photo.alpha == _SEEN).all():
        raise PhotoError(
            "unwritable", f"{chosen} cannot store transparency, which the photo has: set output.format to png or webp"
        )
    try:
        return _encoded(photo, pixels, chosen, quality, metadata)
    except Exception as error:  # encoders raise OSError, ValueError, RuntimeError, struct.error
        _raise_of_machine(error)
        height, width = pixels.shape[:2]
        reason = printable(str(error))[:120]
        message = f"a photo of {width} x {height} cannot be written as {chosen} ({reason})"
        raise PhotoError("unwritable", f"{message}: set output.format to another format") from error


def _raise_of_machine(error: Exception) -> None:
    """Raise `error` where it is the system's: encoders give theirs no number."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):
        raise error


def _encoded(photo: Photo, pixels: Pixels, chosen: Format, quality: Quality, metadata: Metadata) -> Released:
    exif = exif_of_photo(photo) if metadata != "none" else Image.Exif()
    notes: list[str] = []
    packet, own, again = _projection(photo, chosen, notes), FORMATS[chosen], chosen == photo.format
    if own.rewrite is not None and again and quality == "same":
        tags = exif_bytes(kept(exif, metadata, photo.orientation))
        try:
            return Released(own.rewrite(photo, pixels, partial(stored_again, photo), tags, packet))
        except (OddJpegError, OSError) as error:
            _raise_of_machine(error)
            notes.append(_ANEW.format(chosen))
    if _is_copied(photo, chosen, quality) and not differing(photo.pixels, pixels).any():
        data = _copied(photo, kept(exif, metadata, photo.orientation if own.copied_turned else 1), packet)
        if data is not None:
            return Released(data)
        if not photo.encoding.lossless:
            notes.append(_ANEW.format(chosen))
    elif own.no_part and _is_copied(photo, chosen, quality):
        notes.append(own.no_part)
    stored = fitting(changed(stored_again(photo), photo, pixels), photo.format, chosen, notes.append)
    wanted = Wanted(
        quality,
        kept(exif, metadata, stored.orientation),
        photo.encoding.lossless,
        packet,
        again,
        None if photo.encoding.lossless and not again else _MOST_GROWTH * len(photo.source),
    )
    return Released(own.write(stored, wanted), tuple(notes))


def _projection(photo: Photo, chosen: Format, notes: list[str]) -> bytes:
    """Return the XMP of a panorama, empty where there is none or the format holds none, which is said."""
    projection = projection_of(photo.source, photo.format)
    if projection and FORMATS[chosen].packets is None:
        notes.append(f"its panorama projection is left out: {chosen} cannot store XMP")
        return b""
    return packet_of(projection)


def _is_copied(photo: Photo, chosen: Format, quality: Quality) -> bool:
    """Return whether the coded picture is copied where nothing in it changed."""
    own = FORMATS[chosen]
    return chosen == photo.format and quality == "same" and own.copied is not None and own.is_copied(photo)


def _copied(photo: Photo, exif: Image.Exif, xmp: bytes) -> bytes | None:
    """Return a file with the same coded picture, or None where that does not decode to what the photo shows.

    Raises MemoryError where there is too little to decode it once more.
    """
    copied = FORMATS[photo.format].copied
    assert copied is not None  # as `_is_copied` says
    try:
        data = copied(photo, exif, xmp)
        again = decode(data, "copy", written_here=True)
    except (PhotoError, ValueError, TypeError, LookupError, OSError, struct.error) as error:
        _raise_of_machine(error)
        if isinstance(error.__cause__, MemoryError) or getattr(error, "kind", "") == "no-memory":
            raise MemoryError from error
        return None
    alike = _same(again.pixels, photo.pixels) and _same(again.alpha, photo.alpha)
    return data if alike and again.profile == photo.profile else None


def _same(one: Pixels | None, other: Pixels | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)
