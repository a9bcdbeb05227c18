"""The first pages of a TIFF, read from its bytes: previews, RAW files and deep samples pass Pillow unnoticed.

TIFF 6.0 (Adobe 1992), section 2: tags 254 NewSubfileType, 256 ImageWidth, 257 ImageLength, 258 BitsPerSample,
262 PhotometricInterpretation, 330 SubIFDs, 339 SampleFormat; 50706 DNGVersion (Adobe DNG 1.7).
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

from uncnn.daemon.photos.values import PhotoError

Tags: TypeAlias = dict[int, tuple[int, ...]]

_WANTED: Final = {254, 256, 257, 258, 262, 330, 339, 50706}
_TYPES: Final = {1: "B", 3: "H", 4: "I", 13: "I"}  # byte, short, long, offset of a page
_RAW_PHOTOMETRIC: Final = {32803, 34892}  # colour filter array, linear raw
_PAGES: Final = 8


def check_tiff(data: bytes, name: str) -> tuple[int, int]:
    """Refuse a RAW file, a preview in place of the photo, several pages and deep samples; return width and height.

    Raises PhotoError (`truncated`, `damaged`, `unsupported`, `animated`).
    """
    pages = _pages(data, name)
    first = pages[0]
    raw = 50706 in first or data[8:10] == b"CR" or first.get(262, (0,))[0] in _RAW_PHOTOMETRIC
    if raw or (_is_preview(first) and 330 in first):
        raise PhotoError("unsupported", f"{name} is a RAW file, which is not supported: export it as JPEG or TIFF")
    if any(not _is_preview(page) for page in pages[1:]) or len(pages) == _PAGES:
        raise PhotoError("animated", f"{name} has more than one page: export the page that is the photo")
    bits, sample_format = max(first.get(258, (1,))), max(first.get(339, (1,)))
    if bits > 8 or sample_format > 1:
        found = f"{bits}-bit {'integer' if sample_format <= 2 else 'floating-point'} samples"
        raise PhotoError("unsupported", f"{name} has {found}, which would be lost: export it with 8 bits a sample")
    return first.get(256, (0,))[0], first.get(257, (0,))[0]


def _is_preview(page: Tags) -> bool:
    return bool(page.get(254, (0,))[0] & 1)


def _pages(data: bytes, name: str) -> list[Tags]:
    """Return the tags of the first pages, at least one."""
    order = "<" if data[:2] == b"II" else ">"
    pages: list[Tags] = []
    try:
        (offset,) = struct.unpack_from(f"{order}I", data, 4)
        while offset and len(pages) < _PAGES:
            page, offset = _page(data, order, offset)
            pages.append(page)
    except struct.error as error:
        if not pages:
            message = f"{name} ends before its first page is described: copy it again"
            raise PhotoError("truncated", message) from error
    if not pages:
        raise PhotoError("damaged", f"{name} is a TIFF without a page: export it again")
    return pages


def _page(data: bytes, order: str, offset: int) -> tuple[Tags, int]:
    """Return the wanted tags of the page at `offset`, and where the next one is (0: nowhere)."""
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    tags: Tags = {}
    for entry in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
        if tag in _WANTED and kind in _TYPES and 0 < length <= 16:
            layout = f"{order}{length}{_TYPES[kind]}"
            at = entry + 8
            if struct.calcsize(layout) > 4:
                (at,) = struct.unpack_from(f"{order}I", data, entry + 8)
            tags[tag] = struct.unpack_from(layout, data, at)
    (following,) = struct.unpack_from(f"{order}I", data, offset + 2 + 12 * count)
    return tags, following
