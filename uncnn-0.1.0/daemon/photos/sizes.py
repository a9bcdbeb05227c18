"""How large a picture is and how often it is drawn, from the first bytes of a WebP, HEIF, AVIF and JPEG.

RFC 9649 (WebP), 2.5 to 2.7; RFC 6386 (VP8), 9.1; ISO/IEC 23008-12, 6.5.3 (`ispe`); ITU-T T.81, B.1.1.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from uncnn.daemon.photos.jpeg import FRAMES, SCAN, markers

MOST_SCANS: Final = 100
"""Cameras write 1, progressive files about 10: each goes over the whole picture, and needs no more than some bytes."""

MOST_SEGMENTS: Final = 10_000
"""Of 64 KiB each at most: what is said beside a picture."""

_SPATIAL_EXTENTS: Final = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)
_BOXES_WITHIN: Final = 1 << 20


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a WebP file's canvas, or of its only picture; None where its first chunk is none."""
    name = data[12:16]
    if name == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if name == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    if name == b"VP8L":
        sides = int.from_bytes(data[21:25], "little")
        return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    return None


def boxes_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of the largest picture that the boxes of a HEIF or AVIF tell of, or None without any."""
    found = (struct.unpack(">II", each.group(1)) for each in _SPATIAL_EXTENTS.finditer(data, 0, _BOXES_WITHIN))
    return max(found, key=lambda size: size[0] * size[1], default=None)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG's first frame, or None where it has none."""
    for marker, start in markers(data):
        if marker in FRAMES and start + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, start + 5)
            return width, height
    return None


def is_endless(data: bytes) -> bool:
    """Return whether a JPEG has more than `MOST_SCANS` or `MOST_SEGMENTS`."""
    scans = 0
    for number, (marker, _) in enumerate(markers(data)):
        scans += marker == SCAN
        if scans > MOST_SCANS or number >= MOST_SEGMENTS:
            return True
    return False
