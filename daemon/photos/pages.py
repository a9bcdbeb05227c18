"""The pages of a TIFF with where all their bytes are, so that what belongs to none of them is found.

TIFF 6.0 (Adobe 1992), section 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # a value, by type
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 13: "I"}
_BELOW: Final = (330, 34665, 34853, 40965)  # SubIFDs, EXIF, GPS, interoperability
_DATA: Final = ((273, 279), (324, 325), (513, 514))  # where strips, tiles and an old JPEG are, and how long
_WIDTH, _LENGTH, _BITS, _COMPRESSION = 256, 257, 258, 259
_SAMPLES, _PLANAR, _TILE_WIDTH = 277, 284, 322
_READ: Final = frozenset(
    {_WIDTH, _LENGTH, _BITS, _COMPRESSION, _SAMPLES, _PLANAR, _TILE_WIDTH, *_BELOW}
    | {tag for pair in _DATA for tag in pair}
)
_MOST_PAGES, _MOST_ENTRIES, _MOST_VALUES = 64, 4096, 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """One directory of tags."""

    parent: int | None  # the tag that points to it; None: of the chain of pages
    numbers: dict[int, tuple[int, ...]]  # of the few tags that are read here
    places: dict[int, slice]  # where the content of each tag is
    end: int  # of the last byte that it has anywhere

    @property
    def size(self) -> tuple[int, int] | None:
        """Return width and height where it is of a picture."""
        width, height = self.numbers.get(_WIDTH), self.numbers.get(_LENGTH)
        return (width[0], height[0]) if width and height else None


def pages_of(data: bytes) -> Iterator[Page]:
    """Yield the pages, each before those that it points to. Raises struct.error where one lies outside."""
    order = "<" if data[:2] == b"II" else ">"
    waiting: list[tuple[int, int | None]] = [(struct.unpack_from(f"{order}I", data, 4)[0], None)]
    seen = set[int]()
    while waiting and len(seen) < _MOST_PAGES:
        offset, parent = waiting.pop(0)
        if offset == 0 or offset in seen:
            continue
        seen.add(offset)
        page, following = _page(data, order, offset, parent)
        yield page
        waiting[:0] = [(start, tag) for tag in _BELOW for start in page.numbers.get(tag, ())]
        if parent is None:
            waiting.append((following, None))


def _page(data: bytes, order: str, offset: int, parent: int | None) -> tuple[Page, int]:
    """Return the page at `offset`, and where the next one of its chain is."""
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    numbers: dict[int, tuple[int, ...]] = {}
    places: dict[int, slice] = {}
    end = offset + 2 + 12 * count + 4
    for entry in range(offset + 2, offset + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
        size, at = _SIZES.get(kind, 0) * length, entry + 8
        if size > 4:
            (at,) = struct.unpack_from(f"{order}I", data, at)
            end = max(end, min(at + size, len(data)))
        places[tag] = slice(at, at + size)
        if tag in _READ - set(numbers) and kind in _NUMBERS and length <= _MOST_VALUES and at + size <= len(data):
            numbers[tag] = struct.unpack_from(f"{order}{length}{_NUMBERS[kind]}", data, at)
    for starts, sizes in _DATA:
        for start, size in zip(numbers.get(starts, ()), numbers.get(sizes, ()), strict=False):
            end = max(end, min(start + size, len(data)))
    following = struct.unpack_from(f"{order}I", data, offset + 2 + 12 * count)[0]
    return Page(parent, numbers, places, end), following
