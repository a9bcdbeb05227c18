"""Whether compressed data (RFC 1950) comes to its end: those who take a picture out of it stop where that is full."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

_STEP: Final = 1 << 20  # bytes unpacked at a time


def is_whole(parts: Iterable[bytes]) -> bool:
    """Return whether parts that follow each other are one stream with its end, and the sum of it is right."""
    stream = zlib.decompressobj()
    try:
        for part in parts:
            left = part
            while left and not stream.eof:
                stream.decompress(left, _STEP)
                left = stream.unconsumed_tail
        while not stream.eof and stream.decompress(b"", _STEP):
            pass
    except zlib.error:
        return False
    return stream.eof
