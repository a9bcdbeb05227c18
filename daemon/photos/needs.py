"""How much memory a photo takes, told from its first bytes: one that takes more than there is, is refused beforehand.

A small file may hold a large picture: 200 megapixels of one colour are 0.6 MB as a PNG. What decoding, changing and
writing take at most is so many bytes a pixel, measured for each kind of file: `benchmarks/memory.py` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from uncnn.daemon.photos import headers
from uncnn.daemon.photos.jpeg import FRAMES, markers
from uncnn.daemon.photos.values import Format, PhotoError
from uncnn.daemon.sandbox.memory import available_bytes, process_limit

MODELS_BYTES: Final = 1_500_000_000
"""Of what one process may take, so much is the models' and the attack's: a photo gets the rest."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes that a pixel of a format takes at most, a tenth and more above what was measured."""

    plain: int  # three samples of 8 bits, or fewer
    opacity: int = 0  # more where it has some
    deep: int = 0  # more with 16 bits a sample
    inks: int = 0  # more with four inks


_COSTS: Final[Mapping[Format, Cost]] = {
    "JPEG": Cost(30, inks=14),
    "PNG": Cost(29, opacity=2, deep=2),
    "WEBP": Cost(32, opacity=24),
    "TIFF": Cost(32, deep=4),
    "HEIF": Cost(44),
    "AVIF": Cost(44),
    "BMP": Cost(29),
    "GIF": Cost(29),
}

_COPIES: Final = 6
"""Of the file itself, while it is taken apart and put together."""

_INKS: Final = 4
_CHUNKS_WITHIN: Final = 1 << 16  # of a PNG, in which what it says of opacity is looked for


def needed_bytes(data: bytes, photo_format: Format, size: tuple[int, int], name: str) -> int:
    """Return how much memory work on this file takes at most; `size` is width and height. Raises PhotoError."""
    return size[0] * size[1] * _pixel_bytes(data, photo_format, name) + _COPIES * len(data)


def _pixel_bytes(data: bytes, photo_format: Format, name: str) -> int:
    cost = _COSTS[photo_format]
    opacity = deep = inks = False
    if photo_format == "PNG":
        opacity = data[25:26] in (b"\x04", b"\x06") or b"tRNS" in data[:_CHUNKS_WITHIN]
        deep = headers.is_deep_png(data)
    elif photo_format == "TIFF":
        deep = headers.is_deep_tiff(data, name)
    elif photo_format == "JPEG":
        inks = _components(data) == _INKS
    elif photo_format == "WEBP":
        opacity = data[12:16] != b"VP8 "  # the others may have some
    return cost.plain + cost.opacity * opacity + cost.deep * deep + cost.inks * inks


def check_need(data: bytes, photo_format: Format, size: tuple[int, int], name: str) -> None:
    """Refuse a picture of `size`, width and height, that takes more memory than there is.

    Raises PhotoError: `too-large` where this machine never has as much, `no-memory` where it has not at this moment.
    """
    width, height = size
    needed = needed_bytes(data, photo_format, size, name)
    found = f"{name} has {width} x {height} pixels ({width * height / 1e6:.0f} megapixels"
    found += f" as {photo_format}) and needs {_gigabytes(needed)} of memory"
    limit = process_limit()
    if limit is not None and needed > limit - MODELS_BYTES:
        had = _gigabytes(max(limit - MODELS_BYTES, 0))
        raise PhotoError("too-large", f"{found}; the limit on this machine is {had}: make it smaller")
    left = available_bytes()
    if left is not None and needed > left:
        raise PhotoError("no-memory", f"{found}; {_gigabytes(left)} are free: close other programs, or make it smaller")


def _components(data: bytes) -> int:
    """Return how many components the first frame of a JPEG has."""
    start = next((start for marker, start in markers(data) if marker in FRAMES), len(data))
    return data[start + 9] if start + 9 < len(data) else 3


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB"
