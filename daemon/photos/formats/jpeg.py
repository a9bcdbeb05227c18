"""JPEG: ITU-T T.81; where nothing changed, its own coefficients are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from PIL import Image, JpegImagePlugin

from uncnn.daemon.photos import scans
from uncnn.daemon.photos.coefficients import rewritten
from uncnn.daemon.photos.containers import Options, Wanted, at_best, eight_bits, image_of, saved
from uncnn.daemon.photos.deep import reduced
from uncnn.daemon.photos.formats.photo_format import PhotoFormat, Size
from uncnn.daemon.photos.inventory.jpeg import jpeg_things
from uncnn.daemon.photos.jpeg import FRAMES, MARK_OF_END, SCAN, XMP, head, markers, with_head, without_stumps
from uncnn.daemon.photos.metadata import exif_bytes
from uncnn.daemon.photos.resolution import dots_per_inch
from uncnn.daemon.photos.sizes import MOST_SCANS, MOST_SEGMENTS, is_endless, jpeg_size
from uncnn.daemon.photos.values import Encoding, Photo, PhotoError, Stored, deep_error
from uncnn.plugins.api import Pixels

_START_QUALITY: Final = 95  # where the source tells none
_SUBSAMPLING: Final = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
_INKS: Final = 4
_ODD_FRAMES: Final = (
    dict.fromkeys((0xC3, 0xCB), "a lossless JPEG")
    | dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical JPEG")
    | {0xF7: "a JPEG-LS"}
)
"""By the marker of their frame (ITU-T T.81, table B.1; T.87, C.1.1)."""


def _header(data: bytes, name: str) -> Size | None:
    if is_endless(data):
        found = f"more than {MOST_SCANS} scans or {MOST_SEGMENTS} segments"
        raise PhotoError("damaged", f"{name} has {found}, which is not normal: export it again")
    _check_frame(data, name)
    return jpeg_size(data)


def _check_frame(data: bytes, name: str) -> None:
    """Refuse a JPEG of a kind that no viewer of photos shows, by its name. Raises PhotoError (`unsupported`)."""
    frames = FRAMES | set(_ODD_FRAMES)
    marker, start = next((each for each in markers(data) if each[0] in frames), (0, len(data)))
    if marker in _ODD_FRAMES:
        kind = _ODD_FRAMES[marker]
        raise PhotoError("unsupported", f"{name} is {kind}, which is not supported: export it as an ordinary JPEG")
    bits = data[start + 4 : start + 5]
    if bits and bits != b"\x08":
        raise deep_error(name, f"{bits[0]} bits per sample (as a JPEG)")


def _pixel_bytes(data: bytes, _name: str) -> int:
    start = next((start for marker, start in markers(data) if marker in FRAMES), len(data))
    components = data[start + 9] if start + 9 < len(data) else 3
    return 44 if components == _INKS else 30


def _readable(data: bytes) -> bytes:
    """Return the file without segments that are cut short, and with the mark of its end."""
    return without_stumps(data) + (MARK_OF_END if scans.lacks_end(data) else b"")


def _encoding(image: Image.Image, _data: bytes) -> Encoding:
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    return Encoding(
        quantisation=tuple(tuple(map(int, image.quantization[layer[3]])) for layer in image.layer),  # each component's
        subsampling=_SUBSAMPLING.get(JpegImagePlugin.get_sampling(image), "4:4:4"),  # libjpeg's three alone
        lossless=False,
        progressive=bool(image.info.get("progressive")),
        dots_per_inch=dots_per_inch(image),
    )


def _packets(data: bytes) -> Iterator[bytes]:
    for marker, start in markers(data):
        if marker == SCAN:
            return
        if data.startswith(XMP, start + 4):
            yield data[start + 4 + len(XMP) : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]


def _rewritten(photo: Photo, pixels: Pixels, stored: Callable[[], Stored], exif: bytes, xmp: bytes) -> bytes:
    """Return a JPEG that keeps its own coefficients where nothing changed. Raises OddJpegError, OSError."""
    inks = reduced(stored().samples) if len(photo.encoding.quantisation) == _INKS else None
    return rewritten(photo, pixels, inks, head(photo.encoding.dots_per_inch, exif, photo.profile, xmp))


def _write(stored: Stored, wanted: Wanted) -> bytes:
    source, image = stored.encoding, eight_bits(image_of(stored))
    options: Options = {"optimize": True, "progressive": wanted.own and source.progressive}
    if image.mode != "CMYK":
        options["subsampling"] = source.subsampling
    if wanted.own and wanted.quality == "same" and source.quantisation and image.mode != "CMYK":
        data = saved(image, "JPEG", {**options, "qtables": tables_of(source)})
    else:
        data = at_best(image, "JPEG", _START_QUALITY, options, wanted)
    return with_head(data, head(source.dots_per_inch, exif_bytes(wanted.exif), stored.profile, wanted.xmp))


def tables_of(encoding: Encoding) -> list[tuple[int, ...]]:
    """Return the quantisation tables of a JPEG as Pillow's encoder takes them: one for light, one for both colours."""
    first, *others = encoding.quantisation
    return [first, *(others[:1] if len(set(others)) == 1 else others)]


FORMAT: Final = PhotoFormat(
    name="JPEG",
    header=_header,
    missing=scans.missing_part,
    pixel_bytes=_pixel_bytes,
    encoding=_encoding,
    write=_write,
    things=jpeg_things,
    readable=_readable,
    several=False,
    packets=_packets,
    rewrite=_rewritten,
    turning=True,
    opaque=True,
    inks=True,
)
