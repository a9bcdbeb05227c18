"""A TIFF that is compressed as JPEG, as scanners write it, in which nothing changed: its strips as they are.

Compressing it anew would take something from every pixel. So each strip or tile is copied, without what JPEG may say
beside its picture, and the page that tells of them is written from a list of what is allowed.

TIFF 6.0 (Adobe 1992), sections 8 and 15; TIFF Technical Note 2 (1995): a strip is a JPEG, its tables may stand apart.
"""

from __future__ import annotations

import itertools
from io import BytesIO
from typing import Any, Final

from PIL import Image, TiffImagePlugin

from uncnn.daemon.photos import tiff
from uncnn.daemon.photos.jpeg import picture_alone
from uncnn.daemon.photos.values import Photo

_PICTURE: Final = (256, 257, 258, 259, 262, 266, 274, 277, 278, 284, 322, 323, 338, 530, 531)  # whole numbers
_REFERENCE: Final = 532  # what is black and white, of YCbCr
_PLACES: Final = ((273, 279), (324, 325))  # strips, tiles: where they are, and how long
_TABLES, _COMPRESSION, _JPEG, _PROFILE = 347, 259, 7, 34675
_X_RESOLUTION, _Y_RESOLUTION, _UNIT, _INCH = 282, 283, 296, 2
_LONG: Final = 4
_START: Final = 8
_MOST_LEVEL: Final = 255


class OddTiffError(ValueError):
    """The file holds its picture in a way that is not copied."""


def copied(photo: Photo, exif: Image.Exif, xmp: bytes) -> bytes:
    """Return a TIFF with the same strips or tiles, and what it is to say besides.

    Raises OddTiffError, and what parsers raise, where the picture is not stored in a known way.
    """
    with Image.open(BytesIO(tiff.bare(photo.source)), formats=["TIFF"]) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        found = image.tag_v2
        if found.get(_COMPRESSION) != _JPEG:
            raise OddTiffError("another compression")
        page = TiffImagePlugin.ImageFileDirectory_v2()
        for tag in _PICTURE:
            if tag in found:
                page[tag] = _whole(found[tag])
        if _REFERENCE in found:
            page[_REFERENCE] = tuple(_level(value) for value in found[_REFERENCE])
        if _TABLES in found:
            page[_TABLES] = picture_alone(found[_TABLES])
        starts, sizes = next(pair for pair in _PLACES if pair[0] in found)
        places = zip(_several(found[starts]), _several(found[sizes]), strict=True)
    parts = [picture_alone(photo.source[start : start + size]) for start, size in places]
    _say(page, photo, exif, xmp)
    data = _written(page, starts, sizes, parts)
    below = exif.get_ifd(tiff.EXIF_PAGE)
    return tiff.with_exif_page(data, below) if below else data


def _whole(value: Any) -> Any:
    numbers = _several(value)
    if not all(isinstance(number, int) for number in numbers):
        raise OddTiffError("a number that is none")
    return value


def _level(value: Any) -> float:
    level = round(float(value), 2)
    if not 0 <= level <= _MOST_LEVEL:
        raise OddTiffError("a level that is none")
    return level


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _say(page: TiffImagePlugin.ImageFileDirectory_v2, photo: Photo, exif: Image.Exif, xmp: bytes) -> None:
    """Put into a page what it says besides the picture."""
    for tag, value in exif.items():
        if tag != tiff.EXIF_PAGE:
            page[tag] = value
    dots = photo.encoding.dots_per_inch
    if dots:
        page[_X_RESOLUTION], page[_Y_RESOLUTION] = dots
        page[_UNIT] = _INCH
    if photo.profile:
        page.tagtype[_PROFILE] = 7
        page[_PROFILE] = photo.profile
    if xmp:
        page.tagtype[tiff.XMP_TAG] = 1
        page[tiff.XMP_TAG] = xmp


def _written(page: TiffImagePlugin.ImageFileDirectory_v2, starts: int, sizes: int, parts: list[bytes]) -> bytes:
    """Return the file: the page, and the parts behind it."""
    padded = [part + bytes(len(part) % 2) for part in parts]
    page.tagtype[starts] = page.tagtype[sizes] = _LONG
    page[sizes] = tuple(len(part) for part in parts)
    offsets = list(itertools.accumulate((len(part) for part in padded[:-1]), initial=0))
    page[starts] = tuple(offsets)
    behind = _START + len(page.tobytes(_START))
    if starts != TiffImagePlugin.STRIPOFFSETS:  # those, Pillow counts from the end of the page by itself
        page[starts] = tuple(behind + offset for offset in offsets)
    return b"II*\0" + _START.to_bytes(4, "little") + page.tobytes(_START) + b"".join(padded)
