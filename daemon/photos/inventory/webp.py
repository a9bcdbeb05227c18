"""What a WebP says besides its picture: the chunks of its RIFF. WebP Container Specification (RFC 9649), 2.7."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uncnn.daemon.photos.inventory.exif import exif_things
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.trailing import trailing_things
from uncnn.daemon.photos.inventory.values import Part, Thing, shortened
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.photos.webp import chunks_of
from uncnn.daemon.text import size_words

_PICTURE: Final = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})


def webp_things(data: bytes) -> Iterator[Part]:
    """Yield what a WebP says."""
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    for name, content in chunks_of(data[:end]):
        if name not in _PICTURE:
            yield _chunk(name, content)
    if data[end:]:
        yield lambda: trailing_things(data[end:])


def _chunk(name: bytes, content: bytes) -> Part:
    if name == b"EXIF":
        return lambda: exif_things(content)
    if name == b"XMP ":
        return lambda: xmp_things(content)
    if name == b"ICCP":
        return lambda: icc_things(content)
    return Thing("WebP", f"chunk {shortened(name.decode('ascii', 'replace'))}", size_words(len(content)))
