"""Whether all of a JPEG's picture is in its file: a decoder fills up what is missing, and takes zeros for a picture.

A writer that gives a file its whole size first leaves zeros where its bytes are still to come: at the end, or, where
several parts are copied at once, anywhere. Zeros can be codes of a picture, too: of an even area, where the file's own
Huffman tables give the shortest codes to "as before". So where there are many, libjpeg is asked whether the codes of
each scan end where the picture does. ITU-T T.81, B.1.1 markers, B.2.3 scans, G.1.1.1 the bits of a progressive picture.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import jpeglib

from uncnn.daemon.photos.jpeg import END, FRAMES, MARK_OF_END, SCAN, bare, markers
from uncnn.daemon.photos.quiet import quietly
from uncnn.daemon.photos.zeros import has_run

_MANY: Final = 64  # zeros
_LIBJPEG: Final = "turbo210"
_TABLES: Final = 0xC4
_HUFFMAN: Final = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_PROGRESSIVE: Final = 0xC2
_LEAST_BEHIND: Final = 512  # zeros; cameras fill up their files with a few
_MORE: Final = re.compile(rb"MPF\0|MicroVideo|Container:Directory|MotionPhoto")  # a head that tells of what follows
_COEFFICIENTS: Final = 64


def missing_part(data: bytes) -> str | None:
    """Return what of a JPEG is missing in words, None where its picture is whole.

    One that lacks nothing but the mark of its end is whole.
    """
    found = list(markers(data))
    first = next((start for marker, start in found if marker == SCAN), None)
    if first is None:
        return "it ends before its picture begins"
    marker, end = found[-1]
    if marker != END:
        return _without_end(data)
    if has_run(data, _MANY, first, end) and (_are_no_codes(data) or _complaint(data)):
        return "there are zeros within its picture"
    behind = data[end + len(MARK_OF_END) :]
    if len(behind) >= _LEAST_BEHIND and not behind.strip(b"\0") and _MORE.search(data, 0, first):
        return "there are zeros in place of what follows its picture"
    return None


def lacks_end(data: bytes) -> bool:
    """Return whether a JPEG has no mark of its end."""
    return not any(marker == END for marker, _ in markers(data))


def _without_end(data: bytes) -> str | None:
    if data.endswith(b"\0\0"):
        return "there are zeros in place of its end"
    ended = data + MARK_OF_END
    kind = next((marker for marker, _ in markers(data) if marker in FRAMES), None)
    if kind not in _HUFFMAN or _complaint(ended) or (kind == _PROGRESSIVE and not _is_complete(ended)):
        return "it ends within its picture"
    return None


def _are_no_codes(data: bytes) -> bool:
    """Return whether many zeros in a scan of a sequential JPEG mean no even area.

    The code of zeros alone is the first of a table (annex C): for an even area it means "no difference" and "end of
    block", symbol 0, in every table that the scan goes by.
    """
    tables, found = dict[int, int](), list(markers(data))
    if any(marker == _PROGRESSIVE for marker, _ in found):
        return False
    for (marker, start), (_, end) in pairwise(found):
        if marker == _TABLES:
            tables.update(_first_symbols(data[start + 4 : end]))
        elif marker == SCAN and has_run(data, _MANY, start, end):
            for chosen in data[start + 6 : start + 5 + 2 * data[start + 4] : 2]:
                if tables.get(chosen >> 4, 1) or tables.get(0x10 | (chosen & 15), 1):
                    return True
    return False


def _first_symbols(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield class and number of each Huffman table (B.2.4.2), and its first symbol."""
    at = 0
    while at + 17 < len(content):
        yield content[at], content[at + 17]
        at += 17 + sum(content[at + 1 : at + 17])


def _complaint(data: bytes) -> bytes:
    """Return what libjpeg says of codes that are too few, too many or none; nothing where they are right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "source.jpg")
        path.write_bytes(bare(data))
        with quietly() as said:
            try:
                jpeglib.version.set(_LIBJPEG)
                jpeglib.read_dct(str(path))
            except Exception as error:  # jpeglib raises what it meets
                return str(error).encode() or b"it cannot be read"
            said.seek(0)
            return said.read()


def _is_complete(data: bytes) -> bool:
    """Return whether the scans of a progressive JPEG bring every bit of every coefficient of every component."""
    components, left = set[int](), dict[tuple[int, int], int]()
    for marker, start in markers(data):
        if marker in FRAMES:
            components = set(data[start + 10 : start + 10 + 3 * data[start + 9] : 3])
        if marker == SCAN:
            left.update(_brought(data, start))
    return all(left.get((component, place)) == 0 for component in components for place in range(_COEFFICIENTS))


def _brought(data: bytes, start: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield each component and coefficient of a scan, and how many of its lowest bits are left for later ones."""
    count = data[start + 4]
    behind = start + 5 + 2 * count
    first, last, bits = data[behind : behind + 3]
    for component in data[start + 5 : behind : 2]:
        for place in range(first, min(last, _COEFFICIENTS - 1) + 1):
            yield (component, place), bits & 15
