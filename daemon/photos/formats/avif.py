"""AVIF: AV1 in ISOBMFF; AV1 Bitstream Specification, 8.2.4 (the last byte of a tile is no zero)."""

from __future__ import annotations

import re
from typing import Final

from PIL import Image

from uncnn.daemon.photos.containers import Options, Wanted, at_best, eight_bits, image_of, said
from uncnn.daemon.photos.formats.heif import boxes_missing, boxes_packets
from uncnn.daemon.photos.formats.photo_format import PhotoFormat, Size
from uncnn.daemon.photos.inventory.boxes import box_things
from uncnn.daemon.photos.metadata import exif_bytes
from uncnn.daemon.photos.remuxing import remuxed
from uncnn.daemon.photos.resolution import dots_per_inch
from uncnn.daemon.photos.sizes import boxes_size
from uncnn.daemon.photos.values import Encoding, Stored, deep_error

_START_QUALITY: Final = 90  # where the source tells none


def _flags(data: bytes) -> list[int]:
    """Return the third byte of every AV1 configuration box (AV1 in ISOBMFF, 2.3.3).

    0x40 is more than 8 bits, 0x10 grey, 0x08 and 0x04 chroma halved across and down.
    """
    return [found.group(1)[0] for found in re.finditer(rb"av1C\x81.(.)", data[: 1 << 20], re.DOTALL)]


def _header(data: bytes, name: str) -> Size | None:
    if any(flags & 0x40 for flags in _flags(data)):
        raise deep_error(name, "more than 8 bits per sample")
    return boxes_size(data)


def _is_luma(_image: Image.Image, data: bytes) -> bool:
    flags = _flags(data)
    return bool(flags) and all(flag & 0x10 for flag in flags)


def _encoding(image: Image.Image, data: bytes) -> Encoding:
    halved = [flags & 0x0C for flags in _flags(data) if not flags & 0x10]
    chroma = {0x0C: "4:2:0", 0x08: "4:2:2"}.get(min(halved, default=0x0C), "4:4:4")
    return Encoding(subsampling=chroma, lossless=False, dots_per_inch=dots_per_inch(image))


def _write(stored: Stored, wanted: Wanted) -> bytes:
    grey = stored.samples.shape[2] == 1
    options: Options = {"subsampling": "4:0:0" if grey else stored.encoding.subsampling}
    options |= said(stored, wanted)
    return at_best(eight_bits(image_of(stored)), "AVIF", _START_QUALITY, options, wanted)


FORMAT: Final = PhotoFormat(
    name="AVIF",
    header=_header,
    missing=boxes_missing,
    pixel_bytes=lambda _data, _name: 44,
    encoding=_encoding,
    write=_write,
    things=box_things,
    is_luma=_is_luma,
    packets=boxes_packets,
    copied=lambda photo, exif, xmp: remuxed(photo, exif_bytes(exif), xmp),
    turning=True,
)
