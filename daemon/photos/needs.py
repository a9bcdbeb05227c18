"""How much memory a photo takes, told from its first bytes: one that takes more than there is, is refused beforehand.

A small file may hold a large picture: 200 megapixels of one colour are 0.6 MB as a PNG. What decoding, changing and
writing take at most is so many bytes a pixel, measured for each kind of file: `benchmarks/memory.py` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from uncnn.daemon.photos import headers
from uncnn.daemon.photos.jpeg import FRAMES, markers
from uncnn.daemon.photos.values import Format, PhotoError
from uncnn.daemon.sandbox.memory import available_bytes, process_limit

MODELS_BYTES: Final = 1_500_000_000
"""Of what one process may take, so much is the models' and the attack's: a photo gets the rest."""

_PIXEL_BYTES: Final[Mapping[Format, int]] = {
    "JPEG": 30,
    "PNG": 20,
    "WEBP": 30,
    "TIFF": 24,
    "HEIF": 40,
    "AVIF": 40,
    "BMP": 24,
    "GIF": 28,
}
"""At most, of a picture with 8 bits a sample and three of them, or fewer."""

_OPACITY: Final = 12
"""More bytes a pixel where it has opacity."""

_COPIES: Final = 6
"""Of the file itself, while it is taken apart and put together."""

_DEEP: Final = 20
"""More bytes a pixel with 16 bits a sample."""

_INKS: Final = 24
"""More bytes a pixel with four inks."""


def needed_bytes(data: bytes, photo_format: Format, size: tuple[int, int], name: str) -> int:
    """Return how much memory work on this file takes at most; `size` is width and height. Raises PhotoError."""
    return size[0] * size[1] * _pixel_bytes(data, photo_format, name) + _COPIES * len(data)


def _pixel_bytes(data: bytes, photo_format: Format, name: str) -> int:
    found = _PIXEL_BYTES[photo_format]
    if photo_format == "PNG":
        clear = data[25:26] in (b"\x04", b"\x06") or b"tRNS" in data[:_CHUNKS_WITHIN]
        return found + _OPACITY * clear + _DEEP * headers.is_deep_png(data)
    if photo_format == "TIFF":
        return found + _OPACITY + _DEEP * headers.is_deep_tiff(data, name)  # whether it has opacity is seen later
    if photo_format == "JPEG":
        return found + _INKS * (_components(data) == 4)  # cyan, magenta, yellow, black
    return found + _OPACITY * (photo_format in ("WEBP", "GIF"))


_CHUNKS_WITHIN: Final = 1 << 16


def check_need(data: bytes, photo_format: Format, size: tuple[int, int], name: str) -> None:
    """Refuse a picture of `size`, width and height, that takes more memory than there is.

    Raises PhotoError: `too-large` where this machine never has as much, `no-memory` where it has not at this moment.
    """
    width, height = size
    needed = needed_bytes(data, photo_format, size, name)
    found = f"{name} has {width} x {height} pixels ({width * height / 1e6:.0f} megapixels"
    found += f" as {photo_format}) and would take {_gigabytes(needed)} of memory"
    limit = process_limit()
    if limit is not None and needed > limit - MODELS_BYTES:
        had = _gigabytes(max(limit - MODELS_BYTES, 0))
        raise PhotoError("too-large", f"{found}, a photo may take {had} here: make it smaller")
    left = available_bytes()
    if left is not None and needed > left:
        raise PhotoError("no-memory", f"{found}, {_gigabytes(left)} are free: close other programs, or make it smaller")


def _components(data: bytes) -> int:
    """Return how many components the first frame of a JPEG has."""
    start = next((start for marker, start in markers(data) if marker in FRAMES), len(data))
    return data[start + 9] if start + 9 < len(data) else 3


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB"
