"""HEIF with a picture in HEVC: ISO/IEC 23008-12; ITU-T H.265, 7.4.1 (no NAL unit holds three zero bytes in a row).

AVIF is built of the same boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from PIL import Image

from uncnn.daemon.photos.containers import Options, Wanted, at_best, eight_bits, image_of, said
from uncnn.daemon.photos.formats.photo_format import PhotoFormat
from uncnn.daemon.photos.inventory.boxes import box_things
from uncnn.daemon.photos.items import Reader, items_of
from uncnn.daemon.photos.metadata import exif_bytes
from uncnn.daemon.photos.remuxing import remuxed
from uncnn.daemon.photos.resolution import dots_per_inch
from uncnn.daemon.photos.sizes import boxes_size
from uncnn.daemon.photos.values import Encoding, Stored
from uncnn.daemon.photos.zeros import ASIDE, MANY, at_end, has_run, is_unwritten

_START_QUALITY: Final = 85  # where the source tells none
_PRESET: Final = "veryfast"  # x265's `slow`, the default, takes 24 s for 12 megapixels and gains no quality
_SIZE_BOX: Final = 8
_SLICES: Final = range(32)  # NAL units that hold a part of a picture


def boxes_missing(data: bytes) -> str | None:
    """Return what is missing of a HEIF or AVIF, in words."""
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
            return ASIDE
        if item.kind == "av01" and (has_run(item.content, MANY) or at_end(item.content) >= 4):
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


def boxes_packets(data: bytes) -> Iterator[bytes]:
    """Yield the XMP packets of a HEIF or AVIF."""
    _, items = items_of(data)
    return (item.content for item in items.values() if "rdf+xml" in item.content_type)


def _encoding(image: Image.Image, _data: bytes) -> Encoding:
    found = re.sub(r"\D", "", str(image.info.get("chroma", "")))
    chroma = {"420": "4:2:0", "422": "4:2:2"}.get(found, "4:4:4")
    return Encoding(subsampling=chroma, lossless=False, dots_per_inch=dots_per_inch(image))


def _write(stored: Stored, wanted: Wanted) -> bytes:
    chroma = stored.encoding.subsampling.replace(":", "")
    options: Options = {"enc_params": {"preset": _PRESET, "chroma": chroma}}
    options |= said(stored, wanted)
    return at_best(eight_bits(image_of(stored)), "HEIF", _START_QUALITY, options, wanted)


FORMAT: Final = PhotoFormat(
    name="HEIF",
    header=lambda data, _name: boxes_size(data),
    missing=boxes_missing,
    pixel_bytes=lambda _data, _name: 44,
    encoding=_encoding,
    write=_write,
    things=box_things,
    turned=True,
    is_luma=lambda image, _data: "chroma" not in image.info,  # pillow-heif names the chroma of what has one
    packets=boxes_packets,
    copied=lambda photo, exif, xmp: remuxed(photo, exif_bytes(exif), xmp),
)
