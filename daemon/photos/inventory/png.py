"""What a PNG says besides its picture: its chunks one by one, those behind the pixels too.

PNG (third edition, W3C 2025), 11.3; the raw profiles are ImageMagick's.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from uncnn.daemon.photos.inventory.exif import exif_things
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.iptc import iptc_things, resource_things
from uncnn.daemon.photos.inventory.trailing import trailing_things
from uncnn.daemon.photos.inventory.values import Part, Thing, shortened, text_of, thing
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.photos.png import COLOUR_CHUNKS, SIGNATURE
from uncnn.daemon.text import size_words

_PICTURE: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"sRGB", b"sBIT", b"hIST", b"bKGD"})
_MOST_TEXT: Final = 16_000_000  # bytes, unpacked
_XMP: Final = "XML:com.adobe.xmp"
_METRES: Final = 0.0254


def png_things(data: bytes) -> Iterator[Part]:
    """Yield what a PNG says."""
    start = len(SIGNATURE)
    while start + 8 <= len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        name, content = data[start + 4 : start + 8], data[start + 8 : start + 8 + size]
        start += 12 + size
        if name == b"IEND":
            break
        if name not in _PICTURE:
            yield from _chunk(name, content)
    if data[start:]:
        yield lambda: trailing_things(data[start:])


def _chunk(name: bytes, content: bytes) -> Iterator[Part]:
    if name in (b"tEXt", b"zTXt", b"iTXt"):
        yield lambda: _text(name, content)
    elif name == b"eXIf":
        yield lambda: exif_things(content)
    elif name == b"iCCP":
        yield lambda: icc_things(_unpacked(content.split(b"\0", 1)[1][1:]))
    elif name == b"pHYs" and len(content) == 9:
        across, down, unit = struct.unpack(">IIB", content)
        if unit:
            words = f"{across * _METRES:.4g} x {down * _METRES:.4g} an inch"
            yield Thing("PNG", "resolution", words, None, ("resolution", ""))
    elif name == b"tIME" and len(content) == 7:
        yield thing(
            "PNG", "last changed (time)", "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*struct.unpack(">H5B", content))
        )
    elif name in COLOUR_CHUNKS:
        yield Thing("PNG", name.decode("ascii"), "its colours", None, ("PNG", name.decode("ascii")))
    else:
        named = {b"caBX": "content credentials (C2PA)", b"iDOT": "Apple's index of the pixels"}.get(name)
        title = shortened(name.decode("ascii", "replace"))
        yield Thing(
            "PNG", f"chunk {title}", f"{named}, {size_words(len(content))}" if named else size_words(len(content))
        )


def _text(name: bytes, content: bytes) -> Iterator[Thing]:
    """Yield what a text says; some programs put EXIF, IPTC and XMP into one."""
    keyword_bytes, _, rest = content.partition(b"\0")
    keyword = keyword_bytes.decode("latin-1")
    if name == b"zTXt":
        rest = _unpacked(rest[1:])
    elif name == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[2]
        rest = _unpacked(rest) if packed else rest
    if keyword == _XMP:
        yield from xmp_things(rest)
    elif keyword.startswith("Raw profile type "):
        yield from _raw_profile(keyword.removeprefix("Raw profile type "), rest)
    else:
        found = thing("text", keyword, text_of(rest, "utf-8" if name == b"iTXt" else "latin-1", "latin-1"))
        yield found if found.about else Thing(found.group, found.name, found.value, "words")


def _raw_profile(kind: str, text: bytes) -> Iterator[Thing]:
    """Yield what a profile says that is written as text: its name, its size, and its bytes in hexadecimal."""
    content = bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    if kind in ("exif", "APP1"):
        yield from (
            exif_things(content, keyed=False) if content[:4] in (b"Exif", b"II*\0", b"MM\0*") else xmp_things(content)
        )
    elif kind in ("iptc", "8bim"):
        yield from resource_things(content) if b"8BIM" in content[:4] else iptc_things(content)
    elif kind == "xmp":
        yield from xmp_things(content)
    else:
        yield Thing("text", f"profile {shortened(kind, 20)}", size_words(len(content)))


def _unpacked(content: bytes) -> bytes:
    """Return what zlib unpacks, no more than the most that is read."""
    return zlib.decompressobj().decompress(content, _MOST_TEXT)
