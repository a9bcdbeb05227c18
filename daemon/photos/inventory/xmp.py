"""XMP as things: each property, each face region with its name.

ISO 16684-1:2019, 7 (RDF); Metadata Working Group, Guidelines 2.0, 5.9 (regions); Microsoft's People Tagging schema;
IPTC Photo Metadata 2023.2, Image Region.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from uncnn.daemon.photos.inventory.values import About, Key, Thing, about, shortened
from uncnn.daemon.text import size_words

PANORAMA: Final = "panorama"
NAMESPACE: Final = "http://ns.google.com/photos/1.0/panorama/"
"""Of what a panorama says of its projection."""
_MOST_BYTES: Final = 32_000_000
_RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_REGION_NAMES: Final = ("Name", "PersonDisplayName")
_REGION_AREAS: Final = ("Area", "Rectangle", "RegionBoundary")
_SIDES: Final = ("x", "y", "w", "h")
_REGIONS: Final = ("RegionInfo", "Regions", "ImageRegion")
_POSITION: Final = ("exif:GPS", "Iptc4xmpExt:Location", "photoshop:City", "photoshop:State", "photoshop:Country")
_PICTURES: Final = re.compile(r"thumbnails?$|gimage|gdepth|previewimage", re.I)
_SAID_SHORT: Final = 400  # characters: a longer value is told by its size, if it has no blanks


def xmp_things(packet: bytes, place: str = "XMP") -> Iterator[Thing]:
    """Yield what an XMP packet says; one that cannot be read is told by its size."""
    try:
        tree = _parsed(packet)
    except Exception:  # defusedxml refuses entities, expat what is no XML
        yield Thing(place, "packet", f"{size_words(len(packet))}, cannot be read", "words")
        return
    prefixes, nested = _prefixes(packet), _nested(tree)
    outer = [node for node in tree.iter(f"{_RDF}Description") if node not in nested]
    found = [each for node in outer for each in _of_node(node, prefixes, place)]
    yield from found or [Thing(place, "packet", size_words(len(packet)), "words")]


def _parsed(packet: bytes) -> Element:
    if len(packet) > _MOST_BYTES:
        raise ValueError(len(packet))
    plain = packet.strip(b"\0 \r\n\t")
    tree: Element = ElementTree.fromstring(plain)
    return tree


def _prefixes(packet: bytes) -> Mapping[str, str]:
    """Return the prefix that the packet itself has for each namespace."""
    pairs = re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']([^\"']+)[\"']", packet)
    return {address.decode("utf-8", "replace"): prefix.decode("ascii", "replace") for prefix, address in pairs}


def _nested(tree: Element) -> set[Element]:
    """Return the descriptions inside of properties: the fields of a structure."""
    return {
        inner
        for outer in tree.iter(f"{_RDF}Description")
        for inner in outer.iter(f"{_RDF}Description")
        if inner is not outer
    }


def _of_node(node: Element, prefixes: Mapping[str, str], place: str) -> Iterator[Thing]:
    for name, value in node.attrib.items():
        if not name.startswith(_RDF):
            yield _property(name, _named(name, prefixes), value, place)
    for child in node:
        name = _named(child.tag, prefixes)
        regions = list(_regions(child)) if name.split(":")[-1] in _REGIONS else []
        yield from regions
        if not regions:
            yield _property(child.tag, name, _words(child), place)


def _property(full: str, name: str, value: str, place: str) -> Thing:
    kind: About | None = about(name.rsplit(":", maxsplit=1)[-1])
    if name.startswith(_POSITION):
        kind = "position"
    if _PICTURES.search(name):
        kind = "second picture"
    long = len(value) > _SAID_SHORT and " " not in value
    return Thing(
        place, shortened(name, 80), size_words(len(value)) if long else shortened(value), kind, _key(full, place)
    )


def _key(full: str, place: str) -> Key | None:
    """Return how a policy knows a property: those of a panorama are kept."""
    address, _, local = full.removeprefix("{").rpartition("}")
    return (PANORAMA, local) if address == NAMESPACE and place == "XMP" else None


def _named(name: str, prefixes: Mapping[str, str]) -> str:
    """Return a name with its prefix: `dc:creator`."""
    address, _, local = name.removeprefix("{").rpartition("}")
    return f"{prefixes.get(address, address)}:{local}" if address else local


def _words(node: Element) -> str:
    """Return the text of a property: its own, that of its items, or its fields."""
    parts = []
    for inner in node.iter():
        parts += [value for name, value in inner.attrib.items() if not name.startswith("{http://www.w3.org/")]
        parts += [inner.text.strip()] if inner.text and inner.text.strip() else []
    return ", ".join(parts)


def _regions(node: Element) -> Iterator[Thing]:
    """Yield the regions of a picture that a property lists: mostly faces, with the names of people."""
    for inner in node.iter():
        area = _field(inner, _REGION_AREAS)
        if area is None:
            continue
        name = _field(inner, _REGION_NAMES) or "without a name"
        kind = (_field(inner, ("Type",)) or "person").lower()
        yield Thing("people", shortened(f"{kind} region", 40), shortened(f"{name} (at {area})"), "people")


def _field(node: Element, names: tuple[str, ...]) -> str | None:
    """Return a field of a structure in words, however it is written."""
    for key, value in node.attrib.items():
        if key.rpartition("}")[2] in names:
            return value
    return next((_structure(child) for child in node if child.tag.rpartition("}")[2] in names), None)


def _structure(node: Element) -> str:
    """Return the fields of a structure, in words: those of an area by the names of its sides."""
    parts: dict[str, str] = {}
    for inner in node.iter():
        for key, value in inner.attrib.items():
            parts.setdefault(key.rpartition("}")[2], value)
        if inner.text and inner.text.strip():
            parts.setdefault(inner.tag.rpartition("}")[2], inner.text.strip())
    sides = [f"{side} {_short(parts[side])}" for side in _SIDES if side in parts]
    return ", ".join(sides or parts.values())


def _short(words: str) -> str:
    """Return a number with three digits, other words as they are."""
    try:
        return f"{float(words):.3g}"
    except ValueError:
        return words
