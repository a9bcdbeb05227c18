"""Runs of zero bytes: what a file consists of where nothing was written yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_FILLING: Final = 512  # that some programs leave room with
_LEAST: Final = 16
MANY: Final = 512  # more zeros than an arithmetic coder or a code of prefixes writes in a row
SOME: Final = 16  # zeros at the end of coded data
ASIDE: Final = "there are zeros in place of what it says"
_OTHERS: Final = re.compile(rb"[^\0]")


def runs(data: bytes, least: int, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield where runs of so many zeros and more start and end; it takes as long whether there are many or none."""
    wanted, until = bytes(least), len(data) if end is None else end
    while (at := data.find(wanted, start, until)) >= 0:
        other = _OTHERS.search(data, at + least, until)
        start = other.start() if other else until
        yield at, start


def has_run(data: bytes, least: int, start: int = 0, end: int | None = None) -> bool:
    """Return whether there are so many zeros in a row."""
    return data.find(bytes(least), start, end) >= 0


def is_unwritten(data: bytes) -> bool:
    """Return whether words, a profile or the like, which may be filled up with a few zeros, are not written yet."""
    return at_end(data) >= min(_FILLING, max(len(data), _LEAST))


def at_end(data: bytes) -> int:
    """Return how many zeros there are at the end."""
    return len(data) - len(data.rstrip(b"\0"))
