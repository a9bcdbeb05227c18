"""Whether all of the pixels of a TIFF or BMP are in its file, strip by strip.

Pixels that are stored as they are may be zeros: black. A black border starts where a row does; the zeros of a file that
is still being written start within a row, and the row before goes on there. TIFF 6.0 (Adobe 1992): 259 Compression,
273 and 279, 324 and 325 where strips and tiles are, 347 JPEGTables; section 13, LZW ends with a code that is not zero.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from uncnn.daemon.photos import deflate, scans, zeros
from uncnn.daemon.photos.pages import Page, pages_of
from uncnn.daemon.photos.zeros import is_unwritten

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _SAMPLES, _PLANAR, _TILE_WIDTH = 256, 257, 258, 259, 277, 284, 322
_TABLES: Final = 347
_ASIDE: Final = (700, 34675)  # XMP, a profile
_PLACES: Final = ((273, 279), (324, 325))  # strips, tiles: where they are, and how long
_PLAIN, _LZW, _JPEG, _PACKBITS = 1, 5, 7, 32773
_DEFLATE: Final = frozenset({8, 32946})
_FAX: Final = frozenset({2, 3, 4})
_RUN_LENGTHS: Final = frozenset({1, 2})
_PLAIN_BMP: Final = frozenset({0, 3, 6}) | _RUN_LENGTHS
_BITS_BMP: Final = frozenset({1, 4, 8, 16, 24, 32})
_MANY: Final = 64  # zeros, of which most ways of packing write none
_LEAST_END: Final = 4  # zeros at the end of a strip
_LEAST_ROWS: Final = 4  # that are zeros
_NOT_BLACK: Final = 0.3  # of what stands above the first zeros


@dataclass(frozen=True, slots=True)
class Strip:
    """A run of rows as it is stored."""

    start: int
    size: int
    row: int  # bytes of one row


def tiff_missing(data: bytes) -> str | None:
    """Return what of a TIFF's first page is missing in words, None where all of it is there."""
    try:
        page = next(iter(pages_of(data)))
    except (struct.error, StopIteration):
        return None  # said by `check_tiff`
    if any(is_unwritten(data[page.places[tag]]) for tag in _ASIDE if tag in page.places):
        return "there are zeros in place of what it says"
    compression = _first(page, _COMPRESSION, 1)
    found = list(_strips(page))
    for strip in found:
        if strip.start == 0 or strip.size == 0 or strip.start >= len(data):
            return "it ends before its pixels"
        if compression != _PLAIN and strip.start + strip.size > len(data):
            return "it ends within its pixels"
    if compression == _PLAIN:
        torn = any(_is_torn(data, joined) for joined in _joined(found))
    else:
        tables = data[page.places[_TABLES]] if _TABLES in page.places else b""
        torn = any(_has_zeros(data[each.start : each.start + each.size], compression, tables) for each in found)
    return "there are zeros within its pixels" if torn else None


def bmp_missing(data: bytes) -> str | None:
    """Return what of a BMP is missing in words, None where all of it is there."""
    if data[14] == 12:  # the oldest header
        (width, height), bits, packed = struct.unpack_from("<HH", data, 18), data[24], 0
    else:
        width, height = struct.unpack_from("<ii", data, 18)
        bits, packed = struct.unpack_from("<HI", data, 28)
    start = int.from_bytes(data[10:14], "little")
    if packed not in _PLAIN_BMP or bits not in _BITS_BMP:
        return None  # said by the decoder
    if packed in _RUN_LENGTHS:
        return None if data.rstrip(b"\0").endswith(b"\1") else "it ends within its pixels"
    row = -(-width * bits // 32) * 4
    if row <= 0 or len(data) < start + row * abs(height):
        return "it ends within its pixels"
    return "there are zeros within its pixels" if _is_torn(data, Strip(start, row * abs(height), row)) else None


def _strips(page: Page) -> Iterator[Strip]:
    """Yield the strips or tiles of a page."""
    samples = _first(page, _SAMPLES, 1) if _first(page, _PLANAR, 1) == 1 else 1
    width = _first(page, _TILE_WIDTH, _first(page, _WIDTH, 0))
    row = -(-width * samples * max(page.numbers.get(_BITS) or (1,)) // 8)
    for starts, sizes in _PLACES:
        for start, size in zip(page.numbers.get(starts, ()), page.numbers.get(sizes, ()), strict=False):
            yield Strip(start, size, row)


def _first(page: Page, tag: int, usual: int) -> int:
    """Return the first number of a tag; the usual one where the page has none of it."""
    return next(iter(page.numbers.get(tag, ())), usual)


def _joined(strips: list[Strip]) -> Iterator[Strip]:
    """Yield strips of pixels as they are, those that follow each other in the file as one."""
    open_one: Strip | None = None
    for strip in strips:
        if open_one is not None and strip.start == open_one.start + open_one.size:
            open_one = Strip(open_one.start, open_one.size + strip.size, strip.row)
            continue
        if open_one is not None:
            yield open_one
        open_one = strip
    if open_one is not None:
        yield open_one


def _is_torn(data: bytes, strip: Strip) -> bool:
    """Return whether zeros start within a row, go on for some more, and are not so in the row before."""
    row = max(strip.row, 1)
    end = min(strip.start + strip.size, len(data))
    for start, _ in zeros.runs(data, row * _LEAST_ROWS, strip.start, end):
        left = -(start - strip.start) % row
        above = data[start - row : start - row + left] if start - row >= strip.start else b""
        if above and len(above) - above.count(0) >= _NOT_BLACK * len(above):
            return True
    return False


def _has_zeros(content: bytes, compression: int, tables: bytes) -> bool:
    """Return whether there are zeros in a compressed strip where it can hold none."""
    many = zeros.has_run(content, _MANY)
    ends = zeros.at_end(content) >= _LEAST_END
    if compression == _JPEG:
        whole = content[:2] + tables[2:-2] + content[2:] if tables else content
        return scans.missing_part(whole) is not None
    if compression in _DEFLATE:
        return (many or ends) and not deflate.is_whole([content])
    if compression == _LZW or compression in _FAX:
        return many or ends
    return compression == _PACKBITS and many
