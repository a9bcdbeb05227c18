"""What a HEIF or AVIF says besides its picture: the items of its meta box, and the other boxes.

ISO/IEC 14496-12 (boxes, items), ISO/IEC 23008-12 (pictures, their properties and references).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uncnn.daemon.photos.inventory.exif import exif_things
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.trailing import trailing_things
from uncnn.daemon.photos.inventory.values import Part, Thing, shortened, text_of
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.photos.items import Item, items_of, top_boxes
from uncnn.daemon.text import size_words

_PICTURES: Final = frozenset({"hvc1", "av01", "grid", "iovl", "iden", "jpeg", "tmap", "unci", "avc1", "hvt1"})
_PARTS: Final = frozenset({"ftyp", "meta", "mdat", "free", "skip"})
_AUXILIARY: Final = (
    ("alpha", ""),  # it is seen: transparency
    ("hdrgainmap", "gain map"),
    ("depth", "depth map"),
    ("auxid:2", "depth map"),
    ("auxid:1", ""),
    ("disparity", "depth map"),
    ("matte", "matte of a person"),
)
_CREDENTIALS: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def box_things(data: bytes) -> Iterator[Part]:
    """Yield what a HEIF or AVIF says."""
    primary, items = items_of(data)
    shown = _shown(primary, items)
    for item in items.values():
        if item.kind in _PICTURES:
            if item.number not in shown:
                yield _picture(item, primary, items)
        else:
            yield from _metadata(item)
        if item.number in shown:
            yield from _properties(item, item.number == primary)
    for name, content in top_boxes(data):
        yield from _box(name, content)


def _shown(primary: int, items: dict[int, Item]) -> set[int]:
    """Return the picture that is shown, its tiles and its transparency."""
    found, open_ones = set[int](), [primary]
    while open_ones:
        number = open_ones.pop()
        if number in found or number not in items:
            continue
        found.add(number)
        open_ones += items[number].references.get("dimg", ())
        open_ones += [
            item.number
            for item in items.values()
            if number in item.references.get("auxl", ()) and _auxiliary(item) == ""
        ]
    return found


def _auxiliary(item: Item) -> str:
    """Return what an auxiliary picture is, "" where it is transparency."""
    name = text_of(item.properties.get("auxC", b"")[4:].split(b"\0")[0])
    return next((words for part, words in _AUXILIARY if part in name), f"auxiliary picture ({name})")


def _picture(item: Item, primary: int, items: dict[int, Item]) -> Thing:
    if "thmb" in item.references:
        group = "thumbnail"
    elif "auxl" in item.references:
        group = _auxiliary(item) or "transparency of another picture"
    elif item.kind == "tmap":
        group = "gain map"
    elif any(item.number in other.references.get("dimg", ()) for other in items.values()):
        group = "part of a further picture"
    else:
        group = "second picture"
    named = f", {item.name}" if item.name else ""
    return Thing(shortened(group, 40), "item", shortened(f"{item.size_words}, {item.kind}{named}"), "second picture")


def _metadata(item: Item) -> Iterator[Part]:
    content = item.content
    if item.kind == "Exif":
        skipped = 4 + int.from_bytes(content[:4], "big")
        yield lambda: exif_things(content[skipped:])
    elif item.kind == "mime" and "rdf+xml" in item.content_type:
        yield lambda: xmp_things(content)
    else:
        named = ", ".join(part for part in (item.name, item.content_type) if part)
        yield Thing("item", shortened(item.kind, 20), shortened(f"{size_words(len(content))} {named}"))


def _properties(item: Item, is_primary: bool) -> Iterator[Part]:
    """Yield the properties of the shown picture that say something."""
    colours = item.properties.get("colr", b"")
    if is_primary and colours[:4] in (b"prof", b"rICC"):
        yield lambda: icc_things(colours[4:])
    described = item.properties.get("udes")
    if described:
        words = " ".join(part.decode("utf-8", "replace") for part in described[4:].split(b"\0") if part)
        yield Thing("description", "of the picture", shortened(words), "words")


def _box(name: str, content: bytes) -> Iterator[Part]:
    if name == "mpvd":
        yield Thing("video", "motion photo", size_words(len(content)), "video")
    elif name in ("moov", "moof"):
        yield Thing("video", "image sequence", size_words(len(content)), "video")
    elif name == "uuid":
        known = content[:16] == _CREDENTIALS
        yield Thing("content credentials (C2PA)" if known else "box", "uuid", size_words(len(content)))
    elif name == "":
        yield lambda: trailing_things(content)
    elif name in ("free", "skip") and content.strip(b"\0"):
        yield Thing("box", name, size_words(len(content)))
    elif name not in _PARTS:
        yield Thing("box", shortened(name), size_words(len(content)))
