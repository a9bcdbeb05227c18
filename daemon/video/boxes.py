"""The display matrix of an MP4 or QuickTime file: how its picture is turned when it is shown (ISO/IEC 14496-12, 8.3.2).

FFmpeg's muxer writes none for a picture that was encoded anew, so the matrix of the original is put in afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

MATRIX_BYTES: Final = 36

_CONTAINERS: Final = {b"moov", b"trak", b"mdia"}
_PLAIN: Final = 8  # bytes of a box's head: its length and its name
_LARGE: Final = 16  # of one whose length takes 64 bits
_MOST_BOXES: Final = 10_000


def display_matrix(file: Path) -> bytes | None:
    """Return the display matrix of the first video track, 36 bytes; None where there is none. Raises OSError."""
    with file.open("rb") as stream:
        place = _place(stream)
        if place is None:
            return None
        stream.seek(place)
        matrix = stream.read(MATRIX_BYTES)
    return matrix if len(matrix) == MATRIX_BYTES else None


def set_display_matrix(file: Path, matrix: bytes) -> bool:
    """Write the display matrix of the first video track; return whether there is such a track. Raises OSError."""
    with file.open("r+b") as stream:
        place = _place(stream)
        if place is None:
            return False
        stream.seek(place)
        stream.write(matrix)
    return True


def _place(stream: BinaryIO) -> int | None:
    """Return where the matrix of the first video track begins."""
    end = stream.seek(0, 2)
    header = None
    for name, start in _boxes(stream, 0, end):
        if name == b"tkhd":
            stream.seek(start)
            version = stream.read(1)
            header = start + (52 if version == b"\x01" else 40)
        elif name == b"hdlr":
            stream.seek(start + 8)
            if stream.read(4) == b"vide" and header is not None and header + MATRIX_BYTES <= end:
                return header
        elif name == b"trak":
            header = None
    return None


def _boxes(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield the boxes in their order, also those inside of tracks: name, and where their content begins."""
    waiting, number = [(start, end)], 0
    while waiting and number < _MOST_BOXES:
        place, stop = waiting.pop()
        if place + _PLAIN > stop:
            continue
        number += 1
        stream.seek(place)
        head = stream.read(_LARGE)
        length, name, begin = int.from_bytes(head[:4], "big"), head[4:8], place + _PLAIN
        if length == 1:
            length, begin = int.from_bytes(head[8:16], "big"), place + _LARGE
        over = stop if length == 0 else place + length
        if over <= place or over > stop:
            return
        waiting.append((over, stop))
        yield name, begin
        if name in _CONTAINERS:
            waiting.append((begin, over))
