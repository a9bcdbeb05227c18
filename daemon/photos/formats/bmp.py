"""BMP: BITMAPFILEHEADER, and what follows it up to BITMAPV5HEADER."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uncnn.daemon.photos.containers import Wanted, image_of, saved
from uncnn.daemon.photos.formats.photo_format import PhotoFormat, Size
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.trailing import trailing_things
from uncnn.daemon.photos.inventory.values import Part
from uncnn.daemon.photos.resolution import dots_per_inch
from uncnn.daemon.photos.strips import bmp_missing
from uncnn.daemon.photos.values import Encoding, Stored

_OLD_HEADER: Final = 12
_BMP_HEAD, _V5_HEADER = 14, 124
_EMBEDDED: Final = b"DEBM"  # `MBED` as a number


def _header(data: bytes, _name: str) -> Size | None:
    if data[14] <= _OLD_HEADER:
        return None
    return int.from_bytes(data[18:22], "little"), abs(int.from_bytes(data[22:26], "little", signed=True))


def _missing(data: bytes) -> str | None:
    size = int.from_bytes(data[2:6], "little")
    if len(data) < size:
        return f"it says that it has {size} bytes"
    return bmp_missing(data)


def _write(stored: Stored, _wanted: Wanted) -> bytes:
    dots = stored.encoding.dots_per_inch
    return saved(image_of(stored), "BMP", {"dpi": dots} if dots else {})


def _things(data: bytes) -> Iterator[Part]:
    """Yield what a BMP says."""
    if data[_BMP_HEAD] == _V5_HEADER and data[70:74] == _EMBEDDED:
        at, size = (int.from_bytes(data[start : start + 4], "little") for start in (126, 130))
        yield lambda: icc_things(data[_BMP_HEAD + at : _BMP_HEAD + at + size])
    end = int.from_bytes(data[2:6], "little")
    if data[end:]:
        yield lambda: trailing_things(data[end:])


FORMAT: Final = PhotoFormat(
    name="BMP",
    header=_header,
    missing=_missing,
    pixel_bytes=lambda _data, _name: 29,
    encoding=lambda image, _data: Encoding(dots_per_inch=dots_per_inch(image)),
    write=_write,
    things=_things,
    several=False,
    opaque=True,
    indexed=True,
    profiled=False,
)
