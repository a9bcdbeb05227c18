"""What a released file says besides its pixels: EXIF, built anew from a list of what is allowed.

Nothing is copied as it is: each value is read, checked against what such a value can be, and written again. A free
text (a caption, an artist, a copyright), a number that tells one camera from another, a place, a thumbnail or a maker
note is never among them, whatever the policy. EXIF 2.32 (CIPA DC-008-2019), 4.6.4 and 4.6.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any, Final, TypeAlias

from PIL import Image, TiffImagePlugin

from uncnn.daemon.config.policies import Metadata

Check: TypeAlias = Callable[[Any], Any]
"""Returns a value as it is written. Raises ValueError, TypeError or ArithmeticError where it is none of its kind."""

EXIF_NAME: Final = b"Exif\0\0"
ORIENTATION: Final = 0x0112
EXIF_PAGE: Final = 0x8769
GPS_PAGE: Final = 0x8825

_MODEL: Final = re.compile(r"(?!.*[0-9A-Fa-f]{10})[A-Za-z0-9 .,/()+*:&_-]{1,48}")  # so many digits are a serial number
_LENS: Final = re.compile(r"(?!.*[0-9A-Fa-f]{10})[A-Za-z0-9 .,/()+*:&_|\[\]-]{1,72}")
_LENS_SHORT: Final = 48
_OPTICS: Final = re.compile(r"\d ?mm\b|\b[fF]/? ?\d")  # a focal length or an f-number
_SENTENCE: Final = re.compile(  # a small word that is in no name of a lens
    r"(?<![\w.])(?!(?:adapter|alpha|and|angle|at|atx|back|camera|classic|coated|depth|dual|extender|eye|fisheye|for|front"
    r"|generation|inch|lens|macro|main|mini|mm|mode|mount|opera|or|other|periscope|plus|prime|quad|rear|smc|speed|super"
    r"|tele|telephoto|triple|true|ultra|unused|wide|with|xi|zoom)(?!\w))[a-z]{2,}(?!\w)"
)
_DATE: Final = "%Y:%m:%d %H:%M:%S"
_FINEST: Final = 100_000  # the largest denominator: of two numbers as they are, each could be any


def _model(value: Any) -> str:
    text = value.strip("\0 ") if isinstance(value, str) else ""
    if not _MODEL.fullmatch(text):
        raise ValueError(value)
    return text


def _lens(value: Any) -> str:
    """Return the name of a lens: a long one gives a focal length or an f-number, and none is a sentence."""
    text = value.strip("\0 ") if isinstance(value, str) else ""
    long = len(text) > _LENS_SHORT
    if not _LENS.fullmatch(text) or _SENTENCE.search(text) or (long and not _OPTICS.search(text)):
        raise ValueError(value)
    return text


def _date(value: Any) -> str:
    return datetime.strptime(str(value).strip("\0 "), _DATE).strftime(_DATE)


def _whole(value: Any) -> int:
    number = int(value[0] if isinstance(value, tuple) else value)
    if not 0 <= number <= 0xFFFF:  # a short
        raise ValueError(number)
    return number


def _ratio(value: Any) -> TiffImagePlugin.IFDRational:
    number = float(value)
    if not abs(number) < 1e6:  # also refuses what is not a number
        raise ValueError(number)
    return TiffImagePlugin.IFDRational(Fraction(number).limit_denominator(_FINEST))


def _ratios(value: Any) -> tuple[TiffImagePlugin.IFDRational, ...]:
    if len(value) != 4:  # focal lengths and f-numbers, from and to
        raise ValueError(value)
    return tuple(TiffImagePlugin.IFDRational(0, 1) if float(each) != float(each) else _ratio(each) for each in value)


_CAMERA: Final[Mapping[int, Check]] = {0x010F: _model, 0x0110: _model}  # Make, Model
_EXPOSURE: Final[Mapping[int, Check]] = {
    **dict.fromkeys((0x829A, 0x829D, 0x9201, 0x9202, 0x9203, 0x9204, 0x9205, 0x920A, 0xA404), _ratio),
    **dict.fromkeys((0x8822, 0x8827, 0x8830, 0x9207, 0x9208, 0x9209), _whole),
    **dict.fromkeys((0xA402, 0xA403, 0xA405, 0xA406, 0xA408, 0xA409, 0xA40A), _whole),
    0xA432: _ratios,  # LensSpecification
    0xA433: _model,  # LensMake
    0xA434: _lens,  # LensModel
}
_TIMES: Final[Mapping[int, Check]] = {0x0132: _date}  # DateTime
_TIMES_TAKEN: Final[Mapping[int, Check]] = {0x9003: _date, 0x9004: _date}  # without a time zone, a place

_ALLOWED: Final[Mapping[Metadata, tuple[Mapping[int, Check], Mapping[int, Check]]]] = {
    "none": ({}, {}),
    "camera": (_CAMERA, _EXPOSURE),
    "all-but-location": ({**_CAMERA, **_TIMES}, {**_EXPOSURE, **_TIMES_TAKEN}),
}
"""Of the page itself, and of its EXIF page."""


def exif_of(found: Any) -> Image.Exif:
    """Return the EXIF that was found in a file, empty where there is none or it is broken."""
    tags = Image.Exif()
    try:
        if isinstance(found, bytes):
            tags.load(found)
        tags.get_ifd(EXIF_PAGE)
    except Exception:  # Pillow's parser raises what it meets
        return Image.Exif()
    return tags


def kept(source: Image.Exif, policy: Metadata, orientation: int = 1) -> Image.Exif:
    """Return what a policy keeps of the EXIF of a file, and how the picture is to be turned where it is."""
    page, below = _ALLOWED[policy]
    result = Image.Exif()
    result.update(_checked(source, page))
    taken = _checked(source.get_ifd(EXIF_PAGE), below)
    if taken:
        result.get_ifd(EXIF_PAGE).update(taken)
        result[EXIF_PAGE] = result.get_ifd(EXIF_PAGE)
    if orientation != 1:
        result[ORIENTATION] = orientation
    return result


def exif_bytes(exif: Image.Exif) -> bytes:
    """Return EXIF with its name before it, or nothing where there is none."""
    return bytes(exif.tobytes()) if exif else b""


def _checked(tags: Mapping[int, Any], allowed: Mapping[int, Check]) -> dict[int, Any]:
    found = {}
    for tag, check in allowed.items():
        try:
            if tag in tags:
                found[tag] = check(tags[tag])
        except (ValueError, TypeError, ArithmeticError, IndexError):
            continue
    return found
