"""WebP: RFC 9649, 2.3 and 2.7 (the chunks of its RIFF)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uncnn.daemon.photos import webp
from uncnn.daemon.photos.containers import Wanted, at_best, image_of, said, saved
from uncnn.daemon.photos.formats.photo_format import PhotoFormat
from uncnn.daemon.photos.inventory.exif import exif_things
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.trailing import trailing_things
from uncnn.daemon.photos.inventory.values import Part, Thing, shortened
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.photos.metadata import exif_bytes
from uncnn.daemon.photos.remuxing import remuxed
from uncnn.daemon.photos.sizes import webp_size
from uncnn.daemon.photos.values import Encoding, Stored
from uncnn.daemon.photos.zeros import ASIDE, MANY, SOME, at_end, has_run, is_unwritten
from uncnn.daemon.text import size_words

_START_QUALITY: Final = 90  # where the source tells none
_PICTURE: Final = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})


def _missing(data: bytes) -> str | None:
    size = int.from_bytes(data[4:8], "little") + 8
    if len(data) < size:
        return f"it says that it has {size} bytes"
    for name, content in webp.chunks_of(data[:size]):
        if name == bytes(4):
            return "there are zeros in place of its last parts"
        if name in (b"VP8 ", b"VP8L", b"ALPH") and (has_run(content, MANY) or at_end(content) >= SOME):
            return "there are zeros within its picture"
        if name in (b"ICCP", b"EXIF", b"XMP ") and is_unwritten(content):
            return ASIDE
    return None


def _pixel_bytes(data: bytes, _name: str) -> int:
    return 32 if data[12:16] == b"VP8 " else 56  # the others may have some opacity


def _packets(data: bytes) -> Iterator[bytes]:
    return (content for name, content in webp.chunks_of(data) if name == b"XMP ")


def _write(stored: Stored, wanted: Wanted) -> bytes:
    options = said(stored, wanted)
    if wanted.quality == "same" and wanted.lossless:
        return saved(image_of(stored), "WEBP", {**options, "lossless": True, "exact": True})
    return at_best(image_of(stored), "WEBP", _START_QUALITY, options, wanted)


def _things(data: bytes) -> Iterator[Part]:
    """Yield what a WebP says."""
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    for name, content in webp.chunks_of(data[:end]):
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


FORMAT: Final = PhotoFormat(
    name="WEBP",
    header=lambda data, _name: webp_size(data),
    missing=_missing,
    pixel_bytes=_pixel_bytes,
    encoding=lambda _image, data: Encoding(lossless=webp.is_lossless(data)),
    write=_write,
    things=_things,
    packets=_packets,
    copied=lambda photo, exif, xmp: remuxed(photo, exif_bytes(exif), xmp),
    copied_turned=True,
    turning=True,
    grey_profiled=False,  # it knows no grey: a profile of greys would be one of another kind
)
