"""IPTC and Photoshop's resources as things.

IPTC-NAA Information Interchange Model 4.2, records 1 and 2; Adobe Photoshop File Formats Specification, Image
Resources.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from uncnn.daemon.photos.inventory.exif import exif_things
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.segments import picture_words
from uncnn.daemon.photos.inventory.values import Thing, text_of, thing
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.text import size_words

_NAMES: Final = {
    3: "object type", 4: "object attribute", 5: "object name (title)", 7: "edit status", 10: "urgency",
    12: "subject", 15: "category", 20: "supplemental category", 22: "fixture identifier", 25: "keyword",
    26: "content location code", 27: "content location name", 30: "release date", 35: "release time",
    37: "expiration date", 40: "special instructions", 45: "reference service", 55: "date created",
    60: "time created", 62: "digital creation date", 63: "digital creation time", 65: "originating program (software)",
    70: "program version (software)", 75: "object cycle", 80: "by-line", 85: "by-line title", 90: "city",
    92: "location within the city", 95: "province", 100: "country code", 101: "country",
    103: "transmission reference", 105: "headline", 110: "credit", 115: "source (owner)", 116: "copyright notice",
    118: "contact", 120: "caption", 121: "local caption", 122: "caption writer", 130: "image type",
    131: "image orientation", 135: "language", 202: "object data preview",
}  # fmt: skip
_RESOURCES: Final = {
    0x03ED: "resolution", 0x03F3: "print flags", 0x0404: "IPTC", 0x0406: "JPEG quality", 0x0409: "thumbnail",
    0x040A: "copyright flag", 0x040B: "URL (owner)", 0x040C: "thumbnail", 0x040F: "ICC", 0x0411: "ICC untagged",
    0x0421: "version (software)", 0x0422: "EXIF", 0x0424: "XMP", 0x0425: "caption digest", 0x041A: "slices",
    0x0414: "document identifier", 0x0BB7: "clipping path name",
}  # fmt: skip
_THUMBNAIL_HEAD: Final = 28
_UTF_8: Final = b"\x1b%G"


def iptc_things(content: bytes) -> Iterator[Thing]:
    """Yield each dataset: a tag marker, the record, the dataset and two bytes of size."""
    start = 0
    encodings: tuple[str, ...] = ("utf-8", "latin-1")
    while start + 5 <= len(content) and content[start] == 0x1C:
        record, dataset, size = struct.unpack_from(">BBH", content, start + 1)
        start += 5
        if size & 0x8000:  # an extended dataset: so many bytes of size
            wide = size & 0x7FFF
            size = int.from_bytes(content[start : start + wide], "big")
            start += wide
        value = content[start : start + size]
        start += size
        if record == 1 and dataset == 90:
            encodings = ("utf-8",) if value == _UTF_8 else ("latin-1",)
        elif (record, dataset) not in ((1, 0), (2, 0)):
            name = _NAMES.get(dataset, f"dataset {dataset}") if record == 2 else f"dataset {record}:{dataset}"
            yield thing("IPTC", name, text_of(value, *encodings))


def resource_things(content: bytes) -> Iterator[Thing]:
    """Yield Photoshop's resources: `8BIM`, a number, a name, a size; the content is padded to even bytes."""
    start = content.find(b"8BIM")
    while start >= 0 and content[start : start + 4] in (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR"):
        (number,) = struct.unpack_from(">H", content, start + 4)
        name_size = content[start + 6]
        at = start + 6 + (name_size + 2) // 2 * 2
        (size,) = struct.unpack_from(">I", content, at)
        yield from _resource(number, content[at + 4 : at + 4 + size])
        start = at + 4 + (size + 1) // 2 * 2


def _resource(number: int, value: bytes) -> Iterator[Thing]:
    name = _RESOURCES.get(number, f"resource 0x{number:04X}")
    if name == "IPTC":
        yield from iptc_things(value)
    elif name == "XMP":
        yield from xmp_things(value, "XMP in Photoshop's")
    elif name == "ICC":
        yield from icc_things(value)
    elif name == "EXIF":
        yield from exif_things(value, keyed=False)
    elif name == "thumbnail":
        yield Thing("thumbnail", "Photoshop's", picture_words(value[_THUMBNAIL_HEAD:]), "second picture")
    else:
        short = len(value) <= 64 and number in (0x040B, 0x0425, 0x0BB7)
        yield thing("Photoshop", name, text_of(value) if short else size_words(len(value)))
