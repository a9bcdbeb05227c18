"""The entries of a TIFF's first page, to be changed in place."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def entries(data: bytes) -> Iterator[tuple[int, str, int]]:
    """Yield where each entry of the first page stands, the order of bytes, and its tag."""
    order = "<" if data[:2] == b"II" else ">"
    start, count = _first_page(data, order)
    for at in range(start, start + 12 * count, 12):
        if at + 12 <= len(data):
            yield at, order, struct.unpack_from(f"{order}H", data, at)[0]


def looped(data: bytes) -> bytes:
    """Return a TIFF whose first page is followed by itself."""
    order = "<" if data[:2] == b"II" else ">"
    start, count = _first_page(data, order)
    changed = bytearray(data)
    struct.pack_into(f"{order}I", changed, start + 12 * count, start - 2)
    return bytes(changed)


def _first_page(data: bytes, order: str) -> tuple[int, int]:
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    return start + 2, struct.unpack_from(f"{order}H", data, start)[0]
