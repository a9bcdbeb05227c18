"""Whether all of a photo is in its file, told from its structure: a decoder is content with less.

Some programs give a file its whole size first and its bytes then (a copy over SMB, a download in parts): meanwhile it
has zeros at its end, or anywhere, and a decoder takes them for an even area. Such a file rests for longer than a copy
settles, when the network stalls. Here each format is held to what it says of itself: that its parts lie within the
file, and that there are no zeros where its coded picture can hold none.

PNG (third edition, W3C 2025), 5.3 chunks, 5.6 IEND; RFC 9649 (WebP), 2.3; GIF89a, 15 to 27; BMP: BITMAPFILEHEADER;
ITU-T H.265, 7.4.1 (no NAL unit holds three zero bytes in a row); AV1 Bitstream Specification, 8.2.4 (the last byte of a
tile is none).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from uncnn.daemon.photos import deflate, gif, png, scans, strips, webp
from uncnn.daemon.photos.items import Reader, items_of
from uncnn.daemon.photos.values import Format, PhotoError
from uncnn.daemon.photos.zeros import at_end, has_run, is_unwritten

_MANY: Final = 512  # more zeros than an arithmetic coder or a code of prefixes writes in a row
_ASIDE: Final = "there are zeros in place of what it says"
_SOME: Final = 16  # zeros at the end of coded data
_SIZE_BOX: Final = 8
_SLICES: Final = range(32)  # NAL units that hold a part of a picture


def check_whole(data: bytes, photo_format: Format, name: str) -> None:
    """Raise PhotoError (`truncated`) where a part of the picture is not in the file yet."""
    missing = _MISSING[photo_format](data)
    if missing is not None:
        remedy = "wait until it is fully written, or copy it again"
        raise PhotoError("truncated", f"{name} is an incomplete {photo_format} ({missing}): {remedy}")


def _png(data: bytes) -> str | None:
    """A PNG whose pixels are all there lacks nothing else: behind them may be words that are left out anyway."""
    for name, content, right in png.every_chunk(data):
        if name == b"IEND":
            return None
        if name == b"IDAT" and not right and has_run(content, _MANY):
            return "there are zeros within its pixels"
        if name == b"IDAT" and not right and at_end(content) >= _SOME:
            return "there are zeros in place of its last pixels"
    if data.endswith(bytes(_SIZE_BOX)):
        return "there are zeros in place of its end"
    pixels = (content for name, content, _ in png.every_chunk(data) if name == b"IDAT")
    return None if deflate.is_whole(pixels) else "it ends within its pixels"


def _webp(data: bytes) -> str | None:
    size = int.from_bytes(data[4:8], "little") + 8
    if len(data) < size:
        return f"it says that it has {size} bytes"
    for name, content in webp.chunks_of(data[:size]):
        if name == bytes(4):
            return "there are zeros in place of its last parts"
        if name in (b"VP8 ", b"VP8L", b"ALPH") and (has_run(content, _MANY) or at_end(content) >= _SOME):
            return "there are zeros within its picture"
        if name in (b"ICCP", b"EXIF", b"XMP ") and is_unwritten(content):
            return _ASIDE
    return None


def _boxes(data: bytes) -> str | None:
    start = 0
    while start + _SIZE_BOX <= len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        if size == 1:
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        elif size == 0 and data[start + 4 : start + 8] == bytes(4):
            return "there are zeros in place of its last parts"
        if size < _SIZE_BOX:  # 0: to the end of the file
            break
        start += size
    if start > len(data):
        return f"it says that it has {start} bytes"
    return _items(data)


def _items(data: bytes) -> str | None:
    """Return what is missing of the coded pictures that the boxes tell of."""
    try:
        _, items = items_of(data)
    except (ValueError, IndexError, KeyError):
        return None  # the decoder says more
    for item in items.values():
        if item.cut_short:
            return f"it ends before its picture {item.number} does"
        if item.kind == "hvc1" and "hvcC" in item.properties and not _is_hevc(item.content, item.properties["hvcC"]):
            return "there are zeros within its picture"
        if item.kind in ("mime", "Exif") and is_unwritten(item.content):
            return _ASIDE
        if item.kind == "av01" and (has_run(item.content, _MANY) or at_end(item.content) >= 4):
            return "there are zeros within its picture"
    return None


def _is_hevc(content: bytes, configuration: bytes) -> bool:
    """Return whether coded data consists of NAL units, each with its size before it, no slice with zeros in it."""
    size_bytes, reader = (configuration[21:22] or b"\3")[0] % 4 + 1, Reader(content)
    try:
        while reader.at < len(content):
            unit = reader.taken(reader.number(size_bytes))
            if not unit or (unit[0] >> 1 & 0x3F in _SLICES and bytes(3) in unit):
                return False
    except ValueError:
        return False
    return True


def _bmp(data: bytes) -> str | None:
    size = int.from_bytes(data[2:6], "little")
    if len(data) < size:
        return f"it says that it has {size} bytes"
    return strips.bmp_missing(data)


_MISSING: Final[Mapping[Format, Callable[[bytes], str | None]]] = {
    "JPEG": scans.missing_part,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": strips.tiff_missing,
    "HEIF": _boxes,
    "AVIF": _boxes,
    "GIF": gif.missing_part,
    "BMP": _bmp,
}
