"""The pages of a TIFF as bytes: previews, RAW files and deep samples pass Pillow unnoticed, and EXIF its encoder.

TIFF 6.0 (Adobe 1992), section 2: tags 254 NewSubfileType, 256 ImageWidth, 257 ImageLength, 258 BitsPerSample,
262 PhotometricInterpretation, 330 SubIFDs, 339 SampleFormat; 50706 DNGVersion (Adobe DNG 1.7).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from PIL import TiffImagePlugin

from uncnn.daemon.photos.values import PhotoError

Tags: TypeAlias = dict[int, tuple[int, ...]]

_WANTED: Final = {254, 256, 257, 258, 262, 330, 339, 50706}
_TYPES: Final = {1: "B", 3: "H", 4: "I", 13: "I"}  # byte, short, long, offset of a page
_RAW_PHOTOMETRIC: Final = {32803, 34892}  # colour filter array, linear raw
_PAGES: Final = 8
EXIF_PAGE: Final = 34665  # where it is


@dataclass(frozen=True, slots=True)
class Page:
    """What the first page of a TIFF says of its pixels."""

    size: tuple[int, int]  # width and height
    bits: int  # a sample


def check_tiff(data: bytes, name: str) -> Page:
    """Refuse a RAW file, a preview in place of the photo, several pages and samples that are none of 1 to 8 or 16 bits.

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
    if (bits > 8 and bits != 16) or sample_format > 1:
        found = f"{bits}-bit {'integer' if sample_format <= 2 else 'floating-point'} samples"
        raise PhotoError("unsupported", f"{name} has {found}, which would be lost: export it with 8 or 16 bits")
    return Page((first.get(256, (0,))[0], first.get(257, (0,))[0]), bits)


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


def with_exif_page(data: bytes, values: Mapping[int, Any]) -> bytes:
    """Return a TIFF of one page with a page of EXIF below it; both are described behind all else.

    Neither libtiff, through Pillow, nor tifffile writes one.
    """
    order = "<" if data[:2] == b"II" else ">"
    below = TiffImagePlugin.ImageFileDirectory_v2(data[:8], group=EXIF_PAGE)
    below.update(values)
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    table = [data[at : at + 12] for at in range(first + 2, first + 2 + 12 * count, 12)]
    size = 2 + 12 * count + 4
    result = bytearray(data + bytes(len(data) % 2))
    result[first : first + size] = bytes(size)
    start = len(result)
    table.append(struct.pack(f"{order}HHII", EXIF_PAGE, 4, 1, start + size + 12))
    table.sort(key=lambda entry: int(struct.unpack_from(f"{order}H", entry)[0]))
    struct.pack_into(f"{order}I", result, 4, start)
    page = struct.pack(f"{order}H", count + 1) + b"".join(table) + bytes(4)
    return bytes(result) + page + bytes(below.tobytes(start + len(page)))
