"""What a JPEG says besides its picture: its segments one by one, and what stands behind its end.

EXIF 2.32, 4.7; XMP Specification Part 3, 1.1.3 (one that does not fit one segment); ICC.1:2022, B.4; JFIF 1.02;
CIPA DC-007 (several pictures).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from uncnn.daemon.photos.inventory.exif import exif_things
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.iptc import resource_things
from uncnn.daemon.photos.inventory.segments import Segment, end_of_picture, picture_words, segments
from uncnn.daemon.photos.inventory.trailing import trailing_things
from uncnn.daemon.photos.inventory.values import Part, Thing, shortened, text_of
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.text import size_words

_EXIF: Final = b"Exif\0\0"
_TIFF_STARTS: Final = (b"II*\0", b"MM\0*")
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP: Final = b"http://ns.adobe.com/xmp/extension/\0"
_MORE_XMP_HEAD: Final = 40  # behind the name: a hash, the size of the whole, where this part belongs
_ICC: Final = b"ICC_PROFILE\0"
_PHOTOSHOP: Final = b"Photoshop 3.0\0"
_UNITS: Final = {1: "an inch", 2: "a centimetre"}
_COMMENT: Final = 0xFE
_APPLICATION: Final = range(0xE0, 0xF0)
_NAMED: Final[Mapping[bytes, tuple[str, str]]] = {
    b"MPF\0": ("second picture", "index of several pictures (MPF)"),
    b"urn:iso:std:iso:ts:21496": ("gain map", "ISO 21496-1"),
    b"JP": ("content credentials", "JUMBF (C2PA)"),
    b"FPXR\0": ("FlashPix", "APP2"),
    b"Ducky": ("Photoshop", "quality of Save for Web"),
}


def jpeg_things(data: bytes) -> Iterator[Part]:
    """Yield what a JPEG says."""
    found = list(segments(data))
    for number, block in enumerate(_exif_blocks(found)):
        yield partial(exif_things, block, keyed=number == 0)
    profile = b"".join(
        segment.content[len(_ICC) + 2 :]
        for segment in sorted(found, key=lambda each: each.content[: len(_ICC) + 1])
        if _is(segment, 0xE2, _ICC)
    )
    if profile:
        yield lambda: icc_things(profile)
    more = b"".join(
        segment.content[len(_MORE_XMP) + _MORE_XMP_HEAD :] for segment in found if _is(segment, 0xE1, _MORE_XMP)
    )
    if more:
        yield lambda: xmp_things(more, "XMP, extended")
    resources = b"".join(segment.content[len(_PHOTOSHOP) :] for segment in found if _is(segment, 0xED, _PHOTOSHOP))
    if resources:
        yield lambda: resource_things(resources)
    for segment in found:
        yield from _segment(segment)
    rest = data[end_of_picture(data) :]
    if rest:
        yield lambda: trailing_things(rest)


def _exif_blocks(found: list[Segment]) -> list[bytes]:
    """Return the EXIF of a file: one that does not fit a segment goes on in the next, which then starts otherwise."""
    blocks: list[bytes] = []
    for segment in found:
        if _is(segment, 0xE1, _EXIF):
            content = segment.content[len(_EXIF) :]
            if content.startswith(_TIFF_STARTS) or not blocks:
                blocks.append(content)
            else:
                blocks[-1] += content
    return blocks


def _is(segment: Segment, marker: int, name: bytes) -> bool:
    return segment.marker == marker and segment.content.startswith(name)


def _segment(segment: Segment) -> Iterator[Part]:
    """Yield what one segment says that is not read as a whole of several."""
    content, marker = segment.content, segment.marker
    if marker == _COMMENT:
        yield Thing("comment", "comment", shortened(text_of(content, "utf-8", "latin-1")), "words")
    elif marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14:
        yield from _jfif(content)
    elif marker == 0xE0 and content.startswith(b"JFXX\0"):
        yield Thing("thumbnail", "in JFXX", picture_words(content[6:]), "second picture")
    elif marker == 0xE1 and content.startswith(_XMP):
        yield lambda: xmp_things(content[len(_XMP) :])
    elif marker in _APPLICATION and not content.startswith(
        (_EXIF, _ICC, _MORE_XMP, _PHOTOSHOP, b"Adobe")  # read as a whole; Adobe's says how colours are stored
    ):
        yield _application(marker, content)


def _application(marker: int, content: bytes) -> Thing:
    for start, (group, name) in _NAMED.items():
        if content.startswith(start):
            kind = "second picture" if group in ("second picture", "gain map") else None
            return Thing(group, name, size_words(len(content)), kind)  # type: ignore[arg-type] # as just said
    name = shortened(content[:24].split(b"\0")[0].decode("ascii", "replace"), 24)
    named = f", {name}" if name.isascii() and name else ""
    return Thing("application", f"APP{marker - 0xE0}", f"{size_words(len(content))}{named}")


def _jfif(content: bytes) -> Iterator[Thing]:
    unit, across, down, width, height = struct.unpack_from(">BHHBB", content, 7)
    if unit in _UNITS and across and down:
        yield Thing("JFIF", "resolution", f"{across} x {down} {_UNITS[unit]}", None, ("resolution", ""))
    if width and height:
        yield Thing("thumbnail", "in JFIF", f"{width} x {height} px", "second picture")
