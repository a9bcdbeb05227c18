"""The segments before a JPEG's picture: those that are written, and no others.

ITU-T T.81, B.1.1.4 marker segments; JFIF 1.02; EXIF 2.32, 4.5.4; ICC.1:2022, B.4.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

SCAN: Final = 0xDA
END: Final = 0xD9
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
START: Final = b"\xff\xd8"
MARK_OF_END: Final = b"\xff\xd9"
_MARKER: Final = re.compile(rb"\xff+[^\x00\x01\xd0-\xd8\xff]")  # a length follows; in a scan, 0 is stuffed
_JFIF: Final = re.compile(rb"\xff\xe0..JFIF\0", re.DOTALL)
XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_ADOBE: Final = b"\xff\xee\0\x0eAdobe"
_ADOBE_SIZE: Final = 16
_ROOM: Final = 20  # for segments that tell of colours
_PROFILE_PART: Final = 65519  # of a profile in one segment
_DOTS_MOST: Final = 65535


def markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker of a JPEG that a length follows, and where it stands; the end of its picture last."""
    start = len(START)
    while (found := _MARKER.search(data, start)) is not None:
        marker, start = data[found.end() - 1], found.end() - 2
        yield marker, start
        if marker == END:
            return
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")


def bare(data: bytes) -> bytes:
    """Return a JPEG without application segments and comments, wherever they stand, but those that tell its colours.

    jpeglib has room for 50, and at the next writes behind it.
    """
    kept, end, room = [], 0, _ROOM
    for marker, start in markers(data):
        if room and (_JFIF.match(data, start) or data.startswith(_ADOBE, start)):
            room -= 1
        elif _is_remark(marker):
            kept.append(data[end:start])
            end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return b"".join([*kept, data[end:]])


_LEAST: Final = ((b"JFIF\0", 14), (b"Adobe", 12), (b"ICC_PROFILE\0", 14))
"""Segments that tell of a picture, and how long they are at least: Pillow fails at a shorter one."""


def without_stumps(data: bytes) -> bytes:
    """Return a JPEG without segments that end before what they are to say."""
    kept, end = [], 0
    for marker, start in markers(data):
        if marker == SCAN:
            break
        size = int.from_bytes(data[start + 2 : start + 4], "big")
        if _is_remark(marker) and any(data.startswith(name, start + 4) and size - 2 < least for name, least in _LEAST):
            kept.append(data[end:start])
            end = start + 2 + size
    return b"".join([*kept, data[end:]]) if kept else data


def picture_alone(data: bytes) -> bytes:
    """Return a JPEG, or its tables alone, without application segments, comments and what lies between and behind.

    Only Adobe's segment stays, which tells its colours. Raises ValueError where it has no end.
    """
    kept, scanning = [START], False
    end = len(START)
    for marker, start in markers(data):
        if scanning:
            kept.append(data[end:start])
        if marker == END:
            return b"".join([*kept, MARK_OF_END])
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        adobe = data.startswith(_ADOBE, start) and end - start == _ADOBE_SIZE
        if adobe or not _is_remark(marker):
            kept.append(data[start:end])
        scanning = scanning or marker == SCAN
    raise ValueError("a JPEG without an end")


def told_space(data: bytes, components: int) -> str | None:
    """Return libjpeg's name of the colours where JFIF's or Adobe's segment tells them: jpeglib skips both."""
    transform = None
    for marker, start in markers(data):
        if marker == SCAN:
            break
        if _JFIF.match(data, start) and components == 3:
            return "JCS_YCbCr"
        if data.startswith(_ADOBE, start) and start + _ADOBE_SIZE <= len(data):
            transform = data[start + _ADOBE_SIZE - 1]
    plain, turned = {3: ("JCS_RGB", "JCS_YCbCr"), 4: ("JCS_CMYK", "JCS_YCCK")}.get(components, (None, None))
    return None if transform is None else turned if transform else plain


def _is_remark(marker: int) -> bool:
    return 0xE0 <= marker <= 0xEF or marker == 0xFE  # APPn and COM, T.81, table B.1


def head(dots_per_inch: tuple[float, float] | None, exif: bytes, profile: bytes | None, xmp: bytes = b"") -> bytes:
    """Return the segments of a resolution, of EXIF (`Exif\\0\\0` and a TIFF), of XMP and of an ICC profile.

    EXIF and XMP may be empty.
    """
    across, down = (min(max(round(dots), 1), _DOTS_MOST) for dots in dots_per_inch or (1, 1))
    jfif = b"JFIF\0\1\1" + struct.pack(">BHHBB", 1 if dots_per_inch else 0, across, down, 0, 0)
    parts = [profile[at : at + _PROFILE_PART] for at in range(0, len(profile), _PROFILE_PART)] if profile else []
    named = [b"ICC_PROFILE\0" + bytes((number, len(parts))) + part for number, part in enumerate(parts, 1)]
    said = [exif, XMP + xmp if xmp else b""]
    segments = [_segment(0xE0, jfif), *(_segment(0xE1, each) for each in said if each)]
    return b"".join([*segments, *(_segment(0xE2, part) for part in named)])


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_head(data: bytes, own: bytes) -> bytes:
    """Return a JPEG with `own`, of `head`, in place of all application segments and comments of its writer.

    Only Adobe's says how the picture itself is to be read, and stays: JFIF knows no RGB and no CMYK.
    """
    start, kept = len(START), []
    while data[start + 1] != SCAN:
        marker, size = struct.unpack_from(">xBH", data, start)
        segment = data[start : start + 2 + size]
        adobe = segment.startswith(_ADOBE) and len(segment) == _ADOBE_SIZE
        if adobe:
            own = own[_jfif_size(own) :] + segment  # the two contradict each other
        elif not _is_remark(marker):
            kept.append(segment)
        start += 2 + size
    return START + own + b"".join(kept) + data[start:]


def _jfif_size(own: bytes) -> int:
    return int(2 + struct.unpack_from(">H", own, 2)[0]) if own[1] == 0xE0 else 0  # APP0
