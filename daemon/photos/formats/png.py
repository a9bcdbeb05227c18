"""PNG (third edition, W3C 2025): 5.3 chunks, 5.6 IEND; with 16 bits a sample it passes Pillow by."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from uncnn.daemon.photos import deep, deflate, png
from uncnn.daemon.photos.containers import Options, Wanted, image_of, saved
from uncnn.daemon.photos.formats.photo_format import PhotoFormat, Size
from uncnn.daemon.photos.inventory.png import png_things
from uncnn.daemon.photos.metadata import EXIF_NAME, exif_bytes
from uncnn.daemon.photos.resolution import dots_per_inch
from uncnn.daemon.photos.values import Encoding, PhotoError, Samples, Stored
from uncnn.daemon.photos.zeros import MANY, SOME, at_end, has_run

_CGBI: Final = b"CgBI"
_SIZE: Final = 8  # of a chunk's size and name
_OPACITY_WITHIN: Final = 1 << 16  # what it says of opacity is looked for there
_KEYWORD: Final = png.XMP_KEYWORD + b"\0"
_MOST_BYTES: Final = 16_000_000  # of XMP, unpacked


def _header(data: bytes, name: str) -> Size | None:
    """Return the size, and refuse a PNG that does not begin with its header: that would be read from anywhere.

    Raises PhotoError (`unsupported`, `damaged`).
    """
    first = data[12:16]
    if first == _CGBI:
        found = "is a PNG as Xcode packs it for iPhones (CgBI), which is not supported"
        raise PhotoError("unsupported", f"{name} {found}: export it as an ordinary PNG")
    if len(data) >= 16 and first != b"IHDR":
        raise PhotoError("damaged", f"{name} is a PNG that does not start with its header: export it again")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _missing(data: bytes) -> str | None:
    """A PNG whose pixels are all there lacks nothing else: behind them may be words that are left out anyway."""
    for name, content, right in png.every_chunk(data):
        if name == b"IEND":
            return None
        if name == b"IDAT" and not right and has_run(content, MANY):
            return "there are zeros within its pixels"
        if name == b"IDAT" and not right and at_end(content) >= SOME:
            return "there are zeros in place of its last pixels"
    if data.endswith(bytes(_SIZE)):
        return "there are zeros in place of its end"
    pixels = (content for name, content, _ in png.every_chunk(data) if name == b"IDAT")
    return None if deflate.is_whole(pixels) else "it ends within its pixels"


def _is_deep(data: bytes, _name: str) -> bool:
    return data[24:25] == b"\x10"


def _deep_samples(data: bytes) -> tuple[Samples, Samples | None]:
    return deep.read_png(png.bare(data))


def _pixel_bytes(data: bytes, name: str) -> int:
    opacity = data[25:26] in (b"\x04", b"\x06") or b"tRNS" in data[:_OPACITY_WITHIN]
    return 29 + 2 * opacity + 2 * _is_deep(data, name)


def _encoding(image: Image.Image, data: bytes) -> Encoding:
    late = "exif" in image.info and all(name != b"eXIf" for name, _ in png.chunks_of(data))
    return Encoding(dots_per_inch=dots_per_inch(image), late_exif=late)


def _packets(data: bytes) -> Iterator[bytes]:
    for name, content, _ in png.every_chunk(data):
        if name == b"iTXt" and content.startswith(_KEYWORD):
            words = content[len(_KEYWORD) + 2 :].split(b"\0", 2)[2]
            packed = content[len(_KEYWORD)] == 1
            yield zlib.decompressobj().decompress(words, _MOST_BYTES) if packed else words


def _write(stored: Stored, wanted: Wanted) -> bytes:
    dots, exif = stored.encoding.dots_per_inch, exif_bytes(wanted.exif)
    chunks = [*stored.chunks]
    chunks += [png.profile_chunk(stored.profile)] if stored.profile else []
    chunks += [png.resolution_chunk(dots)] if dots else []
    chunks += [png.xmp_chunk(wanted.xmp)] if wanted.xmp else []
    tags = [(b"eXIf", exif.removeprefix(EXIF_NAME))] if exif else []
    late = stored.encoding.late_exif
    return png.with_chunks(_pixels(stored, wanted), chunks + tags * (not late), tags * late)


def _pixels(stored: Stored, wanted: Wanted) -> bytes:
    if stored.samples.dtype != np.uint8:
        return deep.write_png(stored.samples, stored.alpha)  # type: ignore[arg-type] # 16 bits, as just seen
    options: Options = {}
    if stored.palette is not None and stored.palette.opacity:
        options["transparency"] = stored.palette.opacity
    data = saved(image_of(stored), "PNG", options)
    if wanted.most_bytes is not None and len(data) > wanted.most_bytes:
        data = min(data, saved(image_of(stored), "PNG", {**options, "optimize": True}), key=len)
    return data


FORMAT: Final = PhotoFormat(
    name="PNG",
    header=_header,
    missing=_missing,
    pixel_bytes=_pixel_bytes,
    encoding=_encoding,
    write=_write,
    things=png_things,
    readable=png.bare,
    profile=lambda _image, data: png.profile(data),
    colour_chunks=png.colour_chunks,
    is_deep=_is_deep,
    deep_samples=_deep_samples,
    late_exif=True,
    packets=_packets,
    turning=True,
    deep=True,
    indexed=True,
)
