"""Several files as one ZIP file, stored as they are and sent piece by piece: its size is known before it begins.

Python's own `zipfile` writes what cannot be sought in so that some programs on phones and in file managers refuse it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 4_000_000_000
"""More needs the extension ZIP64, which not all programs read."""

_CHUNK: Final = 1 << 18
_DATE: Final = (1980 - 1980) << 9 | 1 << 5 | 1  # the first day there is: when a photo was cloaked is nobody's business
_UTF8: Final = 0x0800
_VERSION: Final = 20
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive."""

    name: str
    file: Path
    size: int
    crc32: int


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names of which no two are the same to a program that takes no notice of case: `a (2).jpg`."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        stem, number, unique = (stem, 1, name) if dot else (suffix, 1, name)
        while unique.casefold() in taken:
            number += 1
            unique = f"{stem} ({number}){dot}{suffix if dot else ''}"
        taken.add(unique.casefold())
        found.append(unique)
    return found


def archive_size(members: Sequence[Member]) -> int:
    """Return how many bytes the archive has."""
    names = sum(len(member.name.encode()) for member in members)
    heads = len(members) * (_LOCAL.size + _CENTRAL.size) + 2 * names
    return heads + sum(member.size for member in members) + _END.size


def archive(members: Sequence[Member]) -> Iterator[bytes]:
    """Yield the archive. Raises OSError: a file is gone, or another by now."""
    at, places = 0, list[int]()
    for member in members:
        name = member.name.encode()
        places.append(at)
        yield _LOCAL.pack(b"PK\3\4", *_entry(member), len(name), 0) + name
        sent = 0
        with member.file.open("rb") as reader:
            while chunk := reader.read(_CHUNK):
                sent += len(chunk)
                yield chunk
        if sent != member.size:
            raise OSError(f"{member.name} is another file by now")
        at += _LOCAL.size + len(name) + member.size
    began = at
    for member, place in zip(members, places, strict=True):
        name = member.name.encode()
        head = _CENTRAL.pack(b"PK\1\2", _VERSION, *_entry(member), len(name), 0, 0, 0, 0, 0, place)
        at += len(head) + len(name)
        yield head + name
    yield _END.pack(b"PK\5\6", 0, 0, len(members), len(members), at - began, began, 0)


def _entry(member: Member) -> tuple[int, ...]:
    """Return what both heads of a file have in common."""
    return _VERSION, _UTF8, 0, 0, _DATE, member.crc32, member.size, member.size
