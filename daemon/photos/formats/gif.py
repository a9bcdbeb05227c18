"""GIF89a of one picture; 24 comments and 26 application extensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uncnn.daemon.photos import gif
from uncnn.daemon.photos.containers import Wanted, image_of, saved
from uncnn.daemon.photos.formats.photo_format import PhotoFormat
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.trailing import trailing_things
from uncnn.daemon.photos.inventory.values import Part, Thing, shortened, text_of
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.photos.resolution import dots_per_inch
from uncnn.daemon.photos.values import Encoding, Stored
from uncnn.daemon.text import size_words

_EXTENSION, _IMAGE, _COMMENT, _WORDS, _APPLICATION = 0x21, 0x2C, 0xFE, 0x01, 0xFF
_XMP: Final = b"XMP DataXMP"
_XMP_TAIL: Final = 257  # so that readers which know nothing of it find the end


def _write(stored: Stored, _wanted: Wanted) -> bytes:
    clear = stored.palette.opacity.find(b"\0") if stored.palette is not None else -1
    return saved(image_of(stored), "GIF", {"optimize": False} | ({"transparency": clear} if clear >= 0 else {}))


def _things(data: bytes) -> Iterator[Part]:
    """Yield what a GIF says."""
    at = 13 + _palette_size(data[10])
    while at < len(data) and data[at] in (_EXTENSION, _IMAGE):
        if data[at] == _IMAGE:
            at = _blocks(data, at + 11 + _palette_size(data[at + 9]))[1]
            continue
        kind = data[at + 1]
        content, at = _blocks(data, at + 2)
        yield from _extension(kind, content)
    if data[at + 1 :]:
        yield lambda: trailing_things(data[at + 1 :])


def _palette_size(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> tuple[list[bytes], int]:
    """Return the blocks from here on, and where they end."""
    found = []
    while data[at]:
        found.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return found, at + 1


def _extension(kind: int, blocks: list[bytes]) -> Iterator[Part]:
    content = b"".join(blocks)
    if kind in (_COMMENT, _WORDS):
        yield Thing("comment", "comment", shortened(text_of(content, "utf-8", "latin-1")), "words")
    elif kind == _APPLICATION and content.startswith(_XMP):
        packet = b"".join(bytes((len(block),)) + block for block in blocks[1:])[:-_XMP_TAIL]
        yield lambda: xmp_things(packet)
    elif kind == _APPLICATION and content.startswith(b"ICCRGBG1012"):
        yield lambda: icc_things(content[11:])
    elif kind == _APPLICATION:
        yield Thing("application", shortened(text_of(content[:11])), size_words(len(content)))


FORMAT: Final = PhotoFormat(
    name="GIF",
    header=lambda data, _name: (int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")),
    missing=gif.missing_part,
    pixel_bytes=lambda _data, _name: 29,
    encoding=lambda image, _data: Encoding(dots_per_inch=dots_per_inch(image)),
    write=_write,
    things=_things,
    readable=gif.bare,
    indexed=True,
    profiled=False,
)
