"""What Vorbis sound says of itself at its beginning: its second header has a title, an artist, a place.

"Vorbis I specification", Xiph.Org Foundation 2020, sections 4.2 and 5; the three headers lie in Matroska's CodecPrivate
one after another, the lengths of the first two before them ("Matroska codec specifications", A_VORBIS).
"""

from __future__ import annotations

import struct
from typing import Final

NO_COMMENTS: Final = b"\x03vorbis" + struct.pack("<II", 0, 0) + b"\x01"
"""A second header without a maker's name and without comments."""


def without_comments(headers: bytes) -> bytes:
    """Return the three headers without what the second one says. Raises ValueError: they are none."""
    if headers[:1] != b"\x02":
        raise ValueError("there are no three headers")
    first, start = _length(headers, 1)
    second, start = _length(headers, start)
    one, three = headers[start : start + first], headers[start + first + second :]
    if one[:7] != b"\x01vorbis" or three[:7] != b"\x05vorbis":
        raise ValueError("the headers are not Vorbis's")
    return b"\x02" + _laced(len(one)) + _laced(len(NO_COMMENTS)) + one + NO_COMMENTS + three


def _length(headers: bytes, start: int) -> tuple[int, int]:
    """Return a length and where what follows it begins: bytes of 255 and a smaller one, added. Raises ValueError."""
    length = 0
    for number, byte in enumerate(headers[start:], start + 1):
        length += byte
        if byte < 255:
            return length, number
    raise ValueError("a length is cut short")


def _laced(length: int) -> bytes:
    return b"\xff" * (length // 255) + bytes([length % 255])
