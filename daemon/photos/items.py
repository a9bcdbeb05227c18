"""The boxes of a HEIF or AVIF, and the items of its meta box: pictures, EXIF, XMP.

ISO/IEC 14496-12:2022, 4.2 boxes, 8.11.3 iloc, 8.11.4 pitm, 8.11.6 iinf, 8.11.12 iref, 8.11.14 iprp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_MOST_ITEMS: Final = 4096
_LISTS: Final = frozenset({"iprp", "ipco"})


@dataclass(slots=True)
class Item:
    """One item: what it is, its bytes, its properties and what it refers to."""

    number: int
    kind: str
    name: str = ""
    content_type: str = ""
    content: bytes = b""
    cut_short: bool = False  # a part of its content lies behind the end of the file
    properties: dict[str, bytes] = field(default_factory=dict)  # by name, `nclx` for a `colr` that is no profile
    references: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def size_words(self) -> str:
        """Return width and height of a picture in words."""
        size = self.properties.get("ispe", b"")
        width, height = (int.from_bytes(size[at : at + 4], "big") for at in (4, 8))
        return f"{width} x {height} px"


class Reader:
    """Numbers, texts and parts of bytes, one after another; none where they end."""

    def __init__(self, content: bytes, at: int = 0) -> None:
        self.content = content
        self.at = at

    def number(self, size: int) -> int:
        """Return the next number of so many bytes. Raises ValueError at the end."""
        return int.from_bytes(self.taken(size), "big")

    def taken(self, size: int) -> bytes:
        """Return the next bytes, so many. Raises ValueError at the end."""
        found = self.content[self.at : self.at + size]
        if len(found) < size:
            raise ValueError("it ends early")
        self.at += size
        return found

    def text(self) -> str:
        """Return the text up to the next zero byte."""
        words = self.content[self.at :].split(b"\0", 1)[0]
        self.at += len(words) + 1
        return words.decode("utf-8", "replace")


def top_boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each box; what is no box at the end has the name ""."""
    at = 0
    while at + 8 <= len(data):
        size, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or len(data) - at
        if not head <= size <= len(data) - at or not name.isascii() or not name.decode("ascii").isprintable():
            break
        yield name.decode("ascii"), data[at + head : at + size]
        at += size
    if data[at:]:
        yield "", data[at:]


def items_of(data: bytes) -> tuple[int, dict[int, Item]]:
    """Return the number of the picture that is shown, and all items by their numbers.

    Raises ValueError and IndexError where the boxes make no sense.
    """
    meta = next((content for name, content in top_boxes(data) if name == "meta"), b"")[4:]
    boxes = dict(top_boxes(meta))
    items = dict(_infos(boxes.get("iinf", b"")))
    primary = _primary(boxes.get("pitm", b""))
    _add_references(items, boxes.get("iref", b""))
    _add_properties(items, boxes.get("iprp", b""))
    _add_contents(items, boxes.get("iloc", b""), data, boxes.get("idat", b""))
    return primary, items


def _primary(content: bytes) -> int:
    return Reader(content, 4).number(2 if content[:1] == b"\0" else 4)


def _infos(content: bytes) -> Iterator[tuple[int, Item]]:
    """Yield the items as they are announced."""
    start = 6 if content[:1] == b"\0" else 8
    for _, (name, entry) in zip(range(_MOST_ITEMS), top_boxes(content[start:]), strict=False):
        if name != "infe" or entry[0] < 2:
            continue
        reader = Reader(entry, 4)
        number = reader.number(2 if entry[0] == 2 else 4)
        reader.number(2)  # protection
        kind = reader.number(4).to_bytes(4, "big").decode("latin-1")
        item = Item(number, kind, reader.text())
        if kind in ("mime", "uri "):
            item.content_type = reader.text()
        yield number, item


def _add_references(items: dict[int, Item], content: bytes) -> None:
    size = 2 if content[:1] == b"\0" else 4
    for name, entry in top_boxes(content[4:]):
        reader = Reader(entry)
        item = items.get(reader.number(size)) if name else None
        if item is not None:
            item.references[name] = tuple(reader.number(size) for _ in range(min(reader.number(2), _MOST_ITEMS)))


def _add_properties(items: dict[int, Item], content: bytes) -> None:
    boxes = list(top_boxes(content))
    properties = [found for name, inner in boxes if name == "ipco" for found in top_boxes(inner)]
    for name, inner in boxes:
        if name != "ipma":
            continue
        version, wide = inner[0], inner[3] & 1
        reader = Reader(inner, 4)
        for _ in range(min(reader.number(4), _MOST_ITEMS)):
            item = items.get(reader.number(2 if version == 0 else 4))
            for _ in range(reader.number(1)):
                index = reader.number(2) & 0x7FFF if wide else reader.number(1) & 0x7F
                if item is not None and 0 < index <= len(properties):
                    kind, value = properties[index - 1]
                    item.properties["nclx" if kind == "colr" and value[:4] == b"nclx" else kind] = value


def _add_contents(items: dict[int, Item], content: bytes, data: bytes, inner: bytes) -> None:
    if not content:
        return
    version = content[0]
    reader = Reader(content, 4)
    sizes = reader.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    for _ in range(min(reader.number(2 if version < 2 else 4), _MOST_ITEMS)):
        item = items.get(reader.number(2 if version < 2 else 4))
        method = reader.number(2) & 15 if version else 0
        reader.number(2)  # which file
        base, parts = reader.number(base_size), []
        for _ in range(min(reader.number(2), _MOST_ITEMS)):
            reader.number(index_size)
            start, size = base + reader.number(offset_size), reader.number(length_size)
            source = inner if method == 1 else data if method == 0 else b""
            parts.append(source[start : start + size] if size else source[start:])
            if item is not None and len(parts[-1]) < size and method < 2:
                item.cut_short = True
        if item is not None:
            item.content = b"".join(parts)
