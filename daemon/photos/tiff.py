"""The pages of a TIFF as bytes: previews, RAW files and deep samples pass Pillow unnoticed, and EXIF its encoder.

TIFF 6.0 (Adobe 1992), section 2: tags 254 NewSubfileType, 256 ImageWidth, 257 ImageLength, 258 BitsPerSample,
259 Compression, 262 PhotometricInterpretation, 330 SubIFDs, 339 SampleFormat; 50706 DNGVersion (Adobe DNG 1.7).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from PIL import TiffImagePlugin

from uncnn.daemon.photos.values import PhotoError

Tags: TypeAlias = dict[int, tuple[int, ...]]

_WANTED: Final = {254, 256, 257, 258, 259, 262, 330, 339, 50706}
_TYPES: Final = {1: "B", 3: "H", 4: "I", 13: "I"}  # byte, short, long, offset of a page
_RAW_PHOTOMETRIC: Final = {32803, 34892}  # colour filter array, linear raw
_PAGES: Final = 8
_UNREAD: Final = (
    dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000")
    | dict.fromkeys((50002, 52546), "JPEG XL")
    | dict.fromkeys((22610, 34934), "JPEG XR")
    | {34887: "LERC", 34933: "PNG", 50001: "WebP"}
)
"""Ways of packing that no decoder here knows, by their numbers."""
_ORIENTATION: Final = 274
_REMARKS: Final = frozenset(
    {269, 270, 271, 272, 285, 305, 306, 315, 316, 700, 33432, 33723, 34377, 34853, 37724, 50341, 59932}
)
"""Names, texts, times and packets of others; the decoder of a picture needs none."""

_UNWRITTEN: Final = "is incomplete: wait until it is fully written, or copy it again"
EXIF_PAGE: Final = 34665  # where it is
XMP_TAG: Final = 700


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
    if not first:  # zeros, where it is to be described
        raise PhotoError("truncated", f"{name} {_UNWRITTEN}")
    if any(not _is_preview(page) for page in pages[1:]) or len(pages) == _PAGES:
        raise PhotoError("animated", f"{name} has more than one page: export a single page")
    if first.get(259, (1,))[0] in _UNREAD:
        packed = f"{name} is a TIFF with the compression {_UNREAD[first[259][0]]}, which is not supported"
        raise PhotoError("unsupported", f"{packed}: export it with LZW or ZIP")
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
            raise PhotoError("truncated", f"{name} {_UNWRITTEN}") from error
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


def bare(data: bytes) -> bytes:
    """Return a TIFF whose first page tells of its picture alone: a tag of words that makes no sense ends no decoder."""
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    table = [data[at : at + 12] for at in range(first + 2, first + 2 + 12 * count, 12)]
    kept = [entry for entry in table if not _is_remark(*struct.unpack_from(f"{order}HH", entry))]
    if len(kept) == len(table):
        return data
    start = len(data) + len(data) % 2
    page = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + data[first + 2 + 12 * count :][:4]
    return b"".join([data[:4], struct.pack(f"{order}I", start), data[8:], bytes(len(data) % 2), page])


def _is_remark(tag: int, kind: int) -> bool:
    return tag in _REMARKS or (tag == _ORIENTATION and kind not in _TYPES)


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
