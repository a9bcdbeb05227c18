"""The blocks of a GIF (GIF89a, 15 to 27): whether its picture is there, and the file without what others say in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_HEAD: Final = 13
_PICTURE, _EXTENSION, _TRAILER, _CONTROL = 0x2C, 0x21, 0x3B, 0xF9
_CONTROL_SIZE: Final = 8  # of the block that tells of transparency
_MANY: Final = 16  # zeros; decoders skip a few stray bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A picture, an extension, the trailer, or a stray byte."""

    kind: int
    start: int
    end: int  # behind the data where it is cut short


def missing_part(data: bytes) -> str | None:
    """Return what of a GIF is missing in words; one that lacks its trailer alone is whole."""
    pictures, end = 0, _HEAD
    for block in _blocks(data):
        if block.kind == _TRAILER:
            return None
        stray = block.kind not in (_PICTURE, _EXTENSION)
        if stray and (data.startswith(bytes(_MANY), block.start) or not data[block.start :].strip(b"\0")):
            return "there are zeros in place of its last parts"
        pictures += block.kind == _PICTURE and block.end <= len(data)
        end = block.end
    return None if pictures and end == len(data) else "it ends within its picture"


def bare(data: bytes) -> bytes:
    """Return a GIF with its pictures and their transparency alone."""
    kept = [data[: _HEAD + _colours(data[10:11])]]
    for block in _blocks(data):
        content = data[block.start : block.end]
        control = content[1:3] == bytes((_CONTROL, 4)) and len(content) == _CONTROL_SIZE
        if block.kind == _PICTURE or (block.kind == _EXTENSION and control):
            kept.append(content)
    return b"".join([*kept, bytes((_TRAILER,))])


def _blocks(data: bytes) -> Iterator[Block]:
    at = _HEAD + _colours(data[10:11])
    while at < len(data):
        kind, end = data[at], at + 1
        if kind == _PICTURE:
            end = _behind(data, at + 11 + _colours(data[at + 9 : at + 10]))
        elif kind == _EXTENSION:
            end = _behind(data, at + 2)
        yield Block(kind, at, end)
        if kind == _TRAILER:
            return
        at = end


def _colours(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _behind(data: bytes, at: int) -> int:
    """Return where the sub-blocks from here on end; behind the data where they do not."""
    while at < len(data):
        if data[at] == 0:
            return at + 1
        at += 1 + data[at]
    return len(data) + 1
