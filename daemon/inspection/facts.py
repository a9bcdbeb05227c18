"""What a photo is: its format and of which kind, its size, its samples and colours, how it is to be turned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import TiffTags

from uncnn.daemon.photos import Format, Photo
from uncnn.daemon.photos.inventory.exif import orientation_words
from uncnn.daemon.photos.inventory.icc import description, is_wide
from uncnn.daemon.photos.inventory.segments import frame
from uncnn.daemon.photos.items import items_of
from uncnn.daemon.photos.keeping import profile_of
from uncnn.daemon.photos.metadata import ORIENTATION
from uncnn.daemon.photos.opening import open_image
from uncnn.daemon.photos.pages import pages_of
from uncnn.daemon.photos.png import colour_chunks
from uncnn.daemon.photos.reader import exif_of_photo

_STANDARD_LUMA: Final = bytes.fromhex(  # ITU-T T.81, table K.1, row by row
    "100b0a101828333d0c0c0e131a3a3c370e0d1018283945380e11161d3357503e"
    "12162538446d674d182337405168715c31404e5767797865485c5f6270646763"
)
_FAR_OFF: Final = 0.35  # of a table, on average: another family of tables, which no quality describes
_TURNING_BOX: Final = {1: 8, 2: 3, 3: 6}  # the angle of HEIF's irot, anticlockwise, as EXIF's orientation


@dataclass(frozen=True, slots=True)
class Kind:
    """What a container says of how the picture is stored."""

    words: tuple[str, ...]
    bits: int = 8  # a sample
    orientation: int | None = None  # where the decoder has turned the picture already


def facts(photo: Photo) -> dict[str, Any]:
    """Return what a photo is, as JSON values."""
    kind = _kind(photo)
    height, width = photo.pixels.shape[:2]
    orientation = kind.orientation or photo.orientation
    mode, palette = _mode(photo)
    profile = profile_of(photo)
    return {
        "format": photo.format,
        "kind": list(kind.words),
        "width": width,
        "height": height,
        "bytes": len(photo.source),
        "bits": kind.bits,
        "channels": "grey" if photo.grey else "CMYK" if mode == "CMYK" else "RGB",
        "palette": palette,
        "transparency": photo.alpha is not None,
        "profile": None if profile is None else description(profile) or "without a name",
        "colours": _colours(photo, mode),
        "orientation": orientation,
        "orientation_words": orientation_words(orientation),
        "dots_per_inch": photo.encoding.dots_per_inch,
        "notes": list(photo.notes),
    }


def _mode(photo: Photo) -> tuple[str, int | None]:
    """Return Pillow's mode of the file, "" where it opens none of its kind, and how many colours its palette has."""
    try:
        with open_image(photo.source, photo.format) as image:
            return image.mode, len(image.getpalette("RGB") or ()) // 3 if image.mode == "P" else None
    except Exception:  # as others read it
        return "", None


def _colours(photo: Photo, mode: str) -> str:
    if photo.profile is not None:
        return "wide-gamut" if is_wide(photo.profile) else "own"
    if photo.format == "PNG" and colour_chunks(photo.source):
        return "own"
    return "unknown" if mode == "CMYK" else "sRGB"


def _kind(photo: Photo) -> Kind:
    """Return what the container says; nothing where it makes no sense, though the picture could be read."""
    try:
        return _KINDS[photo.format](photo) if photo.format in _KINDS else Kind(())
    except Exception:  # decoders take more than these few lines do
        return Kind(())


def _jpeg(photo: Photo) -> Kind:
    found = frame(photo.source)
    if found is None:
        return Kind(())
    words = [found.way, *([found.subsampling] if found.subsampling else [])]
    quality = jpeg_quality(photo.encoding.quantisation[0]) if photo.encoding.quantisation else None
    return Kind((*words, *([f"quality about {quality}"] if quality else [])), found.bits)


def jpeg_quality(table: tuple[int, ...]) -> int | None:
    """Return the quality, 1 to 100, that libjpeg would have made this table of luma with; None: of another family."""
    off = {}
    for quality in range(1, 101):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        made = [min(max((step * scale + 50) // 100, 1), 255) for step in _STANDARD_LUMA]
        off[quality] = sum(abs(one - other) / one for one, other in zip(made, table, strict=True)) / len(made)
    best = min(off, key=lambda quality: (off[quality], -quality))
    return best if off[best] <= _FAR_OFF else None


def _png(photo: Photo) -> Kind:
    bits, way, interlaced = photo.source[24], photo.source[25], photo.source[28]
    words = (("palette",) if way == 3 else ()) + (("interlaced",) if interlaced else ())
    return Kind(words, bits)


def _tiff(photo: Photo) -> Kind:
    page = next(iter(pages_of(photo.source))).numbers
    (number,) = page.get(259, (1,))
    names = {value: name for name, value in TiffTags.TAGS_V2[259].enum.items()} | _COMPRESSIONS
    turned = exif_of_photo(photo).get(ORIENTATION, 1)
    return Kind((names.get(number, f"compression {number}"),), max(page.get(258, (1,))), turned)


_COMPRESSIONS: Final = {
    1: "uncompressed",
    2: "CCITT",
    3: "CCITT group 3",
    4: "CCITT group 4",
    5: "LZW",
    6: "old JPEG",
    7: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
}


def _webp(photo: Photo) -> Kind:
    return Kind(("lossless" if photo.encoding.lossless else "lossy",))


def _boxes(photo: Photo) -> Kind:
    primary, items = items_of(photo.source)
    item = items[primary]
    turn = item.properties.get("irot", b"\0")[0] & 3
    parts = [items[number] for number in item.references.get("dimg", ()) if number in items]
    shown = parts[0] if item.kind in ("grid", "iovl") and parts else item
    depth = shown.properties.get("pixi", item.properties.get("pixi", b""))[5:]
    codec = {"hvc1": "HEVC", "av01": "AV1", "jpeg": "JPEG"}.get(shown.kind, shown.kind)
    words = [codec, "4:0:0" if photo.grey else photo.encoding.subsampling]
    words += [f"{len(parts)} tiles"] if item.kind == "grid" else []
    turned = _TURNING_BOX.get(turn, 1) if photo.format == "HEIF" else None
    return Kind(tuple(words), max(depth, default=8), turned)


_KINDS: Final[Mapping[Format, Callable[[Photo], Kind]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "TIFF": _tiff,
    "WEBP": _webp,
    "HEIF": _boxes,
    "AVIF": _boxes,
}
