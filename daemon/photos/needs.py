"""How much memory a photo takes, told from its first bytes: one that takes more than there is, is refused beforehand.

A small file may hold a large picture: 200 megapixels of one colour are 0.6 MB as a PNG. What decoding, changing and
writing take at most is so many bytes a pixel, measured for each kind of file: `benchmarks/memory.py` prints them.
"""

from __future__ import annotations

from typing import Final

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.values import PhotoError
from uncnn.daemon.sandbox.memory import available_bytes, process_limit

MODELS_BYTES: Final = 1_500_000_000
"""Of what one process may take, so much is the models' and the attack's: a photo gets the rest."""


_COPIES: Final = 6
"""Of the file itself, while it is taken apart and put together."""


def needed_bytes(data: bytes, photo_format: Format, size: tuple[int, int], name: str) -> int:
    """Return how much memory work on this file takes at most; `size` is width and height. Raises PhotoError."""
    return size[0] * size[1] * FORMATS[photo_format].pixel_bytes(data, name) + _COPIES * len(data)


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


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB"
