"""A WebP, HEIF or AVIF in which nothing changed: its coded picture as it is, in a container of our own.

Compressing it anew would take something from every pixel, for the sake of what the file says besides. So the coded
picture is copied, without what a decoder skips, and all around it is written from a list of what is allowed.

RFC 9649 (WebP), 2.7; ISO/IEC 14496-12:2022, 8.11 (items); ISO/IEC 23008-12:2022, 6.5 (properties), 6.6.2.3 (grids);
ISO/IEC 14496-15:2022, 8.3.2 (hvcC); ITU-T H.265, 7.4.2.2 (NAL units); AV1 Bitstream Specification, 5.3 (OBUs).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos import webp
from uncnn.daemon.photos.items import Item, Reader, items_of
from uncnn.daemon.photos.metadata import EXIF_NAME
from uncnn.daemon.photos.turning import SIDEWAYS
from uncnn.daemon.photos.values import Photo

_BRANDS: Final[Mapping[Format, tuple[bytes, ...]]] = {
    "HEIF": (b"heic", b"mif1", b"heic"),
    "AVIF": (b"avif", b"mif1", b"avif", b"miaf"),
}
_CODED: Final = {"hvc1": "hvcC", "av01": "av1C"}  # a kind of item, and the property with its decoder's configuration
_ALPHA: Final = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
_ALPHAS: Final = frozenset({_ALPHA, b"urn:mpeg:hevc:2015:auxid:1"})
_ESSENTIAL: Final = frozenset({b"hvcC", b"av1C", b"irot", b"imir"})  # to be understood by who shows the picture
_IGNORED: Final = frozenset({"colr", "udes", "rloc", "clli", "mdcv", "amve", "cclv", "crtt", "mdft", "ndwt"})
_PARAMETERS: Final = frozenset({32, 33, 34})  # NAL units: video, sequence and picture parameter sets
_SLICES: Final = range(32)  # NAL units that hold a part of a picture
_SHOWN_OBUS: Final = frozenset({1, 3, 4, 6, 7})  # sequence header, frame header, tile group, frame, frame header again
_MOST_ITEMS: Final = 2000
_MOST_PROPERTIES: Final = 127
_EXIF_HEAD: Final = b"\0\0\0\6"  # where its TIFF begins, behind `Exif` and two zeros

Properties: TypeAlias = list[tuple[bytes, bytes]]
"""Names and contents, in the order in which they hold."""


class OddContainerError(ValueError):
    """The file holds its picture in a way that is not copied."""


@dataclass(slots=True)
class Part:
    """An item of the file that is written; its number is its place, from 1 on."""

    kind: bytes
    content: bytes
    properties: Properties = field(default_factory=list)
    references: list[tuple[bytes, tuple[int, ...]]] = field(default_factory=list)


def remuxed(photo: Photo, exif: bytes, xmp: bytes = b"") -> bytes:
    """Return a file of the same format with the same coded picture; `exif` begins with its name, or is empty.

    Raises OddContainerError, ValueError, IndexError and struct.error where the picture is not stored in a known way.
    """
    return _webp(photo, exif, xmp) if photo.format == "WEBP" else _boxes(photo, exif, xmp)


def _webp(photo: Photo, exif: bytes, xmp: bytes) -> bytes:
    found: dict[bytes, bytes] = {}
    for name, content in webp.chunks_of(photo.source):
        found.setdefault(name, content)
    picture = next(((name, found[name]) for name in (b"VP8 ", b"VP8L") if name in found), None)
    if picture is None or b"ANIM" in found:
        raise OddContainerError("no picture of its own")
    height, width = photo.pixels.shape[:2]
    flags = 0x20 * bool(photo.profile) | 0x10 * (photo.alpha is not None) | 0x08 * bool(exif) | 0x04 * bool(xmp)
    if photo.orientation >= SIDEWAYS:
        width, height = height, width
    canvas = bytes((flags, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = [
        (b"VP8X", canvas if flags else b""),
        (b"ICCP", photo.profile or b""),
        (b"ALPH", found.get(b"ALPH", b"") if picture[0] == b"VP8 " else b""),
        picture,
        (b"EXIF", exif.removeprefix(EXIF_NAME)),
        (b"XMP ", xmp),
    ]
    return webp.with_chunks(chunks)


def _boxes(photo: Photo, exif: bytes, xmp: bytes) -> bytes:
    primary, items = items_of(photo.source)
    parts: list[Part] = []
    _add_picture(parts, items[primary], items, photo.profile)
    alphas = [item for item in items.values() if primary in item.references.get("auxl", ()) and _is_alpha(item)]
    if len(alphas) > 1 or "prem" in items[primary].references:
        raise OddContainerError("transparency of a rare kind")
    for item in alphas:
        alpha = _add_picture(parts, item, items, None)
        alpha.properties.append((b"auxC", bytes(4) + _ALPHA + b"\0"))
        alpha.references.append((b"auxl", (1,)))
    if exif:
        parts.append(Part(b"Exif", _EXIF_HEAD + exif, [], [(b"cdsc", (1,))]))
    if xmp:
        parts.append(Part(b"mime", xmp, [], [(b"cdsc", (1,))]))
    return written(photo.format, parts)


def _is_alpha(item: Item) -> bool:
    return item.properties.get("auxC", b"")[4:].split(b"\0")[0] in _ALPHAS


def _add_picture(parts: list[Part], item: Item, items: Mapping[int, Item], profile: bytes | None) -> Part:
    """Add a picture and the tiles that it consists of; return its own part."""
    if len(parts) >= _MOST_ITEMS:
        raise OddContainerError("thousands of tiles")
    own = Part(item.kind.encode("latin-1"), b"", list(_properties(item, profile)))
    parts.append(own)
    if item.kind in _CODED:
        own.content = _stream(item)
    elif item.kind == "grid":
        own.content = _grid(item)
        first = len(parts) + 1
        for number in item.references["dimg"]:
            if items[number].kind not in _CODED:
                raise OddContainerError("a grid of something else than pictures")
            _add_picture(parts, items[number], items, None)
        own.references.append((b"dimg", tuple(range(first, len(parts) + 1))))
    else:
        raise OddContainerError(item.kind)
    return own


def _grid(item: Item) -> bytes:
    """Return version, flags, rows, columns, width and height, and nothing behind them."""
    wide = item.content[1] & 1
    size = 12 if wide else 8
    if item.content[0] != 0 or len(item.content) < size:
        raise OddContainerError("a grid of another version")
    return bytes((0, wide)) + item.content[2:size]


def _properties(item: Item, profile: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield what is to be known of a picture to show it; the profile in place of its own."""
    if profile is not None:
        yield b"colr", b"prof" + profile
    for name, content in item.properties.items():
        if name in _KNOWN:
            yield b"colr" if name == "nclx" else name.encode("latin-1"), _KNOWN[name](content)
        elif name != "auxC" and name not in _IGNORED:
            raise OddContainerError(f"a property {name}")  # it may be of those that change what is shown


def _exactly(size: int, start: bytes = b"") -> Callable[[bytes], bytes]:
    def checked(content: bytes) -> bytes:
        if len(content) != size or not content.startswith(start):
            raise OddContainerError("a property of another size")
        return content

    return checked


def _pixel_bits(content: bytes) -> bytes:
    """Return `pixi`: how many bits each channel has."""
    bits = content[5 : 5 + content[4]]
    if content[:4] != bytes(4) or len(content) != 5 + content[4] or set(bits) != {8}:
        raise OddContainerError("bits of another number")
    return content


def _one(most: int) -> Callable[[bytes], bytes]:
    return lambda content: bytes((content[0] & most,))


def _hevc_configuration(content: bytes) -> bytes:
    """Return `hvcC` with its parameter sets, and none of the messages beside them."""
    reader = Reader(content, 22)
    arrays = []
    for _ in range(reader.number(1)):
        kind = reader.number(1) & 0x3F
        units = [reader.taken(reader.number(2)) for _ in range(reader.number(2))]
        if kind in _PARAMETERS:
            body = b"".join(struct.pack(">H", len(unit)) + unit for unit in units)
            arrays.append(struct.pack(">BH", 0x80 | kind, len(units)) + body)
    return content[:22] + bytes((len(arrays),)) + b"".join(arrays)


_KNOWN: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "ispe": _exactly(12, bytes(4)),
    "pixi": _pixel_bits,
    "nclx": _exactly(11, b"nclx"),
    "hvcC": _hevc_configuration,
    "av1C": lambda content: content[:4],  # the sequence header stands in the picture as well
    "irot": _one(3),
    "imir": _one(1),
}


def _stream(item: Item) -> bytes:
    """Return the coded picture without messages, padding and whatever else is not shown."""
    if item.kind == "hvc1":
        return b"".join(_nal_units(item.content, (item.properties["hvcC"][21] & 3) + 1))
    return b"".join(_obus(item.content))


def _nal_units(content: bytes, size_bytes: int) -> Iterator[bytes]:
    """Yield the units that hold parameters or slices, each with its size before it."""
    reader = Reader(content)
    while reader.at < len(content):
        size = reader.number(size_bytes)
        unit = reader.taken(size)
        kind = unit[0] >> 1 & 0x3F
        if kind in _SLICES or kind in _PARAMETERS:
            yield size.to_bytes(size_bytes, "big") + unit


def _obus(content: bytes) -> Iterator[bytes]:
    """Yield the units that hold a frame or what is to be known of it, as they are."""
    at = 0
    while at < len(content):
        head = content[at]
        start = at + 1 + (head >> 2 & 1)
        size = len(content) - start
        if head & 2:
            size, start = _leb128(content, start)
        if start + size > len(content):
            raise OddContainerError("it ends early")
        if head >> 3 & 15 in _SHOWN_OBUS:
            yield content[at : start + size]
        at = start + size


def _leb128(content: bytes, at: int) -> tuple[int, int]:
    """Return a number of AV1 (4.10.5), and where it ends."""
    number = 0
    for place in range(8):
        number |= (content[at + place] & 0x7F) << 7 * place
        if not content[at + place] & 0x80:
            return number, at + place + 1
    raise OddContainerError("a size without an end")


def written(photo_format: Format, parts: list[Part]) -> bytes:
    """Return the boxes of a file: its type, what there is to be known, and the contents."""
    major, *others = _BRANDS[photo_format]
    kind = _box(b"ftyp", major + bytes(4) + b"".join(others))
    known: list[tuple[bytes, bytes]] = list(dict.fromkeys(each for part in parts for each in part.properties))
    if len(known) > _MOST_PROPERTIES:
        raise OddContainerError("more properties than cameras write")
    hidden = {number for part in parts for name, targets in part.references if name == b"dimg" for number in targets}
    infos = b"".join(
        _full_box(b"infe", struct.pack(">HH4sx", number, 0, part.kind) + _type(part.kind), 2, int(number in hidden))
        for number, part in enumerate(parts, 1)
    )
    owned = b"".join(_owned(number, part, known) for number, part in enumerate(parts, 1))
    count = sum(bool(part.properties) for part in parts)
    references = b"".join(
        _box(name, struct.pack(f">HH{len(targets)}H", number, len(targets), *targets))
        for number, part in enumerate(parts, 1)
        for name, targets in part.references
    )
    before = [
        _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full_box(b"pitm", struct.pack(">H", 1)),
        _full_box(b"iinf", struct.pack(">H", len(parts)) + infos),
        _full_box(b"iref", references) if references else b"",
        _box(
            b"iprp",
            _box(b"ipco", b"".join(_box(*each) for each in known))
            + _full_box(b"ipma", struct.pack(">I", count) + owned),
        ),
    ]
    size = len(_meta(before, parts, 0))
    return kind + _meta(before, parts, len(kind) + size + 8) + _box(b"mdat", b"".join(part.content for part in parts))


def _type(kind: bytes) -> bytes:
    """Return what of an entry of `infe` tells the type of its content: XMP's."""
    return b"application/rdf+xml\0" if kind == b"mime" else b""


def _owned(number: int, part: Part, known: list[tuple[bytes, bytes]]) -> bytes:
    """Return the entry of `ipma`: which properties a part has, and which of them must be understood."""
    if not part.properties:
        return b""
    indices = [0x80 * (each[0] in _ESSENTIAL) | (known.index(each) + 1) for each in part.properties]
    return struct.pack(">HB", number, len(indices)) + bytes(indices)


def _meta(before: list[bytes], parts: list[Part], start: int) -> bytes:
    """Return the `meta` box of contents that follow each other from `start` on."""
    places = b""
    for number, part in enumerate(parts, 1):
        places += struct.pack(">HHHII", number, 0, 1, start, len(part.content))
        start += len(part.content)
    located = _full_box(b"iloc", struct.pack(">HH", 0x4400, len(parts)) + places)
    return _full_box(b"meta", b"".join(before[:2]) + located + b"".join(before[2:]))


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def _full_box(name: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags) + content)
