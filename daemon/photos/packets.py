"""Where the XMP of a photo stands in its file, format by format: ISO 16684-3:2021."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from uncnn.daemon.photos import png, webp
from uncnn.daemon.photos.items import items_of
from uncnn.daemon.photos.jpeg import SCAN, XMP, markers
from uncnn.daemon.photos.pages import pages_of
from uncnn.daemon.photos.values import Format

TIFF_TAG: Final = 700
_KEYWORD: Final = png.XMP_KEYWORD + b"\0"
_MOST_BYTES: Final = 16_000_000  # unpacked


def packets_of(data: bytes, photo_format: Format) -> Iterator[bytes]:
    """Yield the XMP packets of a file; one that makes no sense yields none."""
    if photo_format not in _PLACES:
        return
    try:
        yield from _PLACES[photo_format](data)
    except (ValueError, IndexError, KeyError, struct.error, zlib.error):
        return


def _jpeg(data: bytes) -> Iterator[bytes]:
    for marker, start in markers(data):
        if marker == SCAN:
            return
        if data.startswith(XMP, start + 4):
            yield data[start + 4 + len(XMP) : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]


def _png(data: bytes) -> Iterator[bytes]:
    for name, content, _ in png.every_chunk(data):
        if name == b"iTXt" and content.startswith(_KEYWORD):
            words = content[len(_KEYWORD) + 2 :].split(b"\0", 2)[2]
            packed = content[len(_KEYWORD)] == 1
            yield zlib.decompressobj().decompress(words, _MOST_BYTES) if packed else words


def _webp(data: bytes) -> Iterator[bytes]:
    return (content for name, content in webp.chunks_of(data) if name == b"XMP ")


def _tiff(data: bytes) -> Iterator[bytes]:
    place = next(pages_of(data)).places.get(TIFF_TAG)
    if place is not None:
        yield data[place]


def _boxes(data: bytes) -> Iterator[bytes]:
    _, items = items_of(data)
    return (item.content for item in items.values() if "rdf+xml" in item.content_type)


_PLACES: Final[Mapping[Format, Callable[[bytes], Iterator[bytes]]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": _tiff,
    "HEIF": _boxes,
    "AVIF": _boxes,
}
HOLDERS: Final = frozenset(_PLACES)
"""The formats that hold XMP."""
