"""TIFF 6.0 (Adobe 1992); with 16 bits a sample it passes Pillow by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from PIL import Image

from uncnn.daemon.photos import deep, tiff
from uncnn.daemon.photos.containers import Options, Wanted, at_best, image_of, saved
from uncnn.daemon.photos.formats.photo_format import PhotoFormat
from uncnn.daemon.photos.inventory.tiff import tiff_things
from uncnn.daemon.photos.jpeg_tiff import copied
from uncnn.daemon.photos.pages import pages_of
from uncnn.daemon.photos.resolution import dots_per_inch
from uncnn.daemon.photos.strips import tiff_missing
from uncnn.daemon.photos.values import Encoding, Stored

_START_QUALITY: Final = 95  # where the source tells none
_DEFLATE: Final = "tiff_adobe_deflate"
_LOSSLESS: Final = {"raw", "tiff_lzw", _DEFLATE, "packbits", "group3", "group4"}
_STRIPS: Final = (
    "the whole picture was compressed again: in a TIFF with JPEG compression, single faces cannot be replaced"
)


def _is_deep(data: bytes, name: str) -> bool:
    return tiff.check_tiff(data, name).bits == 16  # the number is the name


def _encoding(image: Image.Image, _data: bytes) -> Encoding:
    found = str(image.info.get("compression"))
    compression = found if found in _LOSSLESS else _DEFLATE
    return Encoding(compression=compression, lossless=found != "jpeg", dots_per_inch=dots_per_inch(image))


def _packets(data: bytes) -> Iterator[bytes]:
    place = next(pages_of(data)).places.get(tiff.XMP_TAG)
    if place is not None:
        yield data[place]


def _write(stored: Stored, wanted: Wanted) -> bytes:
    page = wanted.exif.get_ifd(tiff.EXIF_PAGE)
    tags = {tag: value for tag, value in wanted.exif.items() if tag != tiff.EXIF_PAGE}
    tags |= {tiff.XMP_TAG: wanted.xmp} if wanted.xmp else {}
    data = _page(stored, wanted, tags)
    return tiff.with_exif_page(data, page) if page else data


def _page(stored: Stored, wanted: Wanted, tags: dict[int, Any]) -> bytes:
    """Return a TIFF with these tags of the page itself."""
    if stored.samples.dtype != np.uint8:
        return deep.write_tiff(stored, tags)
    image, encoding = image_of(stored), stored.encoding
    options: Options = {"icc_profile": stored.profile} if stored.profile else {}
    options |= {"dpi": encoding.dots_per_inch} if encoding.dots_per_inch else {}
    options |= {"tiffinfo": tags} if tags else {}
    if wanted.own and not wanted.lossless and image.mode in ("L", "RGB"):
        return at_best(image, "TIFF", _START_QUALITY, {**options, "compression": "jpeg"}, wanted)
    compression = encoding.compression if wanted.own else _DEFLATE
    if compression in ("group3", "group4") and image.mode != "1":
        compression = _DEFLATE
    return saved(image, "TIFF", {**options, "compression": compression})


FORMAT: Final = PhotoFormat(
    name="TIFF",
    header=lambda data, name: tiff.check_tiff(data, name).size,
    missing=tiff_missing,
    pixel_bytes=lambda data, name: 36 if _is_deep(data, name) else 32,
    encoding=_encoding,
    write=_write,
    things=tiff_things,
    readable=tiff.bare,
    several=False,
    turned=True,
    is_deep=_is_deep,
    read_deep=deep.read_tiff,
    is_exif=True,
    packets=_packets,
    copied=copied,
    is_copied=lambda photo: not photo.encoding.lossless,
    no_part=_STRIPS,
    inks=True,
    deep=True,
    indexed=True,
)
