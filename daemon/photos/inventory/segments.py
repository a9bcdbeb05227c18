"""The segments of a JPEG, where its picture ends, and what its frame says.

ITU-T T.81, B.1.1 markers, B.2.2 the frame header.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from uncnn.daemon.photos.jpeg import END, FRAMES, START, markers
from uncnn.daemon.text import size_words

_SUBSAMPLINGS: Final = {
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
    ((1, 2), (1, 1), (1, 1)): "4:4:0",
    ((4, 1), (1, 1), (1, 1)): "4:1:1",
}
_WAYS: Final = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless", 0xC9: "arithmetic"}
_OWN_METADATA: Final = (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0")
_GAIN_MAP: Final = (b"hdrgainmap", b"ns.adobe.com/hdr-gain-map", b"urn:iso:std:iso:ts:21496:-1")
_DEPTH: Final = (b"depthmap", b"aux:disparity", b"aux:depth", b"GDepth")


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment before or between the scans of a picture."""

    marker: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """What a JPEG says of its picture."""

    way: str  # baseline, progressive, ...
    bits: int
    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]  # across and down, a component each

    @property
    def subsampling(self) -> str | None:
        """Return the sampling of chroma; None where there is none, or all is sampled alike."""
        if len(self.sampling) != 3:
            return None
        return _SUBSAMPLINGS.get(self.sampling, " ".join(f"{across}x{down}" for across, down in self.sampling))


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments with a size, up to the end of the picture or of the bytes."""
    for marker, start in markers(data):
        if marker != END:
            size = int.from_bytes(data[start + 2 : start + 4], "big")
            yield Segment(marker, data[start + 4 : start + 2 + size])


def end_of_picture(data: bytes) -> int:
    """Return where the picture ends: behind its end marker, or the end of the bytes where there is none."""
    return next((start + 2 for marker, start in markers(data) if marker == END), len(data))


def frame(data: bytes) -> Frame | None:
    """Return what the frame header says, or None where there is none."""
    for segment in segments(data):
        content = segment.content
        if segment.marker in FRAMES and len(content) >= 6 and len(content) >= 6 + 3 * content[5]:
            factors = tuple((content[at] >> 4, content[at] & 15) for at in range(7, 6 + 3 * content[5], 3))
            height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
            return Frame(_WAYS.get(segment.marker, "of a rare kind"), content[0], width, height, factors)
    return None


def picture_words(data: bytes) -> str:
    """Return what a picture inside of a file is, in words."""
    found = frame(data) if data.startswith(START) else None
    if found is None:
        return size_words(len(data))
    head = [segment.content[:100_000] for segment in segments(data) if 0xE0 <= segment.marker <= 0xEF]
    kind = next((name for name, marks in (("gain map, ", _GAIN_MAP), ("depth map, ", _DEPTH)) if _any(head, marks)), "")
    own = ", with metadata of its own" if _any(head, _OWN_METADATA) else ""
    return f"{kind}{found.width} x {found.height} px, JPEG, {size_words(len(data))}{own}"


def _any(contents: list[bytes], marks: tuple[bytes, ...]) -> bool:
    return any(mark in content for content in contents for mark in marks)
