"""The chunks of a PNG file (third edition, W3C 2025, 5): what is read beside Pillow, and what is written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
COLOUR_CHUNKS: Final = {
    b"gAMA": (">I", 1_000_000),
    b"cHRM": (">8I", 100_000),  # 0..1 of each primary
    b"cICP": (">4B", 22),  # ITU-T H.273: the numbers that have a meaning
}
"""What a PNG says of its colours where it has no profile: the numbers in it, and the largest that makes sense."""

_SRGB_GAMMA: Final = b"\0\0\xb1\x8f"  # 0.45455
_METRES: Final = 0.0254
XMP_KEYWORD: Final = b"XML:com.adobe.xmp"
_ANIMATED: Final = frozenset({b"acTL", b"fcTL", b"fdAT"})
_READ: Final = frozenset({b"tRNS", b"sRGB", b"pHYs", b"eXIf", *COLOUR_CHUNKS, *_ANIMATED})
_SIZES: Final = {
    b"sRGB": 1,
    b"pHYs": 9,
    **{name: struct.calcsize(layout) for name, (layout, _) in COLOUR_CHUNKS.items()},
}
_CLEAR_SIZES: Final = {0: 2, 2: 6}  # of tRNS, by the kind of picture; of a palette as many as there are
_PALETTE: Final = 3
_MOST_PROFILE: Final = 16_000_000  # bytes, unpacked: those of printers have some


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each chunk before the pixels."""
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, start)
        name = data[start + 4 : start + 8]
        if name == b"IDAT":
            return
        yield name, data[start + 8 : start + 8 + size]
        start += 12 + size


def every_chunk(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield the name and the content of each chunk, and whether its sum is right; one that is cut short is not."""
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        end = start + 8 + size
        if end + 4 > len(data):
            return
        name, content = data[start + 4 : start + 8], data[start + 8 : end]
        yield name, content, zlib.crc32(content, zlib.crc32(name)) == int.from_bytes(data[end : end + 4], "big")
        start = end + 4


def bare(data: bytes) -> bytes:
    """Return a PNG with what its picture needs: without words, unknown chunks, and others whose sum is wrong."""
    kept = [SIGNATURE]
    for name, content, right in every_chunk(data):
        if name == b"IEND":
            break
        if _is_critical(name) or (right and name in _READ and _has_size(name, len(content), data[25])):
            kept.append(_chunk(name, content, right))
    return b"".join([*kept, _chunk(b"IEND", b"")])


def _has_size(name: bytes, size: int, kind: int) -> bool:
    """Return whether a chunk is as long as one of its name is, in a picture of this kind (11.2.1)."""
    if name == b"tRNS":
        return size > 0 if kind == _PALETTE else size == _CLEAR_SIZES.get(kind)
    return size == _SIZES.get(name, size)


def _is_critical(name: bytes) -> bool:
    return not name[:1].islower()  # 5.4: the first letter tells


def profile(data: bytes) -> bytes | None:
    """Return the ICC profile of a PNG, None where it has none; empty where it cannot be unpacked."""
    packed = dict(chunks_of(data)).get(b"iCCP")
    if packed is None:
        return None
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(packed.partition(b"\0")[2][1:], _MOST_PROFILE)
    except zlib.error:
        return b""
    return unpacked if stream.eof else b""


def colour_chunks(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the chunks that make a PNG's colours other than sRGB where it has no profile."""
    found = dict(chunks_of(data))
    if b"iCCP" in found or b"sRGB" in found:
        return ()
    kept = {name: found[name] for name in COLOUR_CHUNKS if name in found and _is_of_colour(name, found[name])}
    plain = set(kept) <= {b"gAMA", b"cHRM"} and kept.get(b"gAMA", _SRGB_GAMMA) == _SRGB_GAMMA and b"cHRM" not in kept
    return () if plain else tuple(kept.items())


def _is_of_colour(name: bytes, content: bytes) -> bool:
    layout, most = COLOUR_CHUNKS[name]
    return len(content) == struct.calcsize(layout) and max(struct.unpack(layout, content)) <= most


def with_chunks(
    data: bytes, chunks: Iterable[tuple[bytes, bytes]], behind: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """Return a PNG with these chunks after its header, in place of any others before its pixels but PLTE and tRNS.

    Those `behind` its pixels stand before its end.
    """
    kept = [(name, content) for name, content in chunks_of(data) if name in (b"PLTE", b"tRNS")]
    (header,) = (content for name, content in chunks_of(data) if name == b"IHDR")
    pixels = data[_start_of(data, b"IDAT") : _start_of(data, b"IEND")]
    before = b"".join(_chunk(name, content) for name, content in [(b"IHDR", header), *chunks, *kept])
    return SIGNATURE + before + pixels + b"".join(_chunk(*each) for each in [*behind, (b"IEND", b"")])


def _start_of(data: bytes, wanted: bytes) -> int:
    start = len(SIGNATURE)
    while data[start + 4 : start + 8] != wanted:
        start += 12 + struct.unpack_from(">I", data, start)[0]
    return start


def _chunk(name: bytes, content: bytes, right: bool = True) -> bytes:
    """Return a chunk with its sum, or with a wrong one."""
    checksum = zlib.crc32(content, zlib.crc32(name)) ^ (not right)
    return b"".join([struct.pack(">I", len(content)), name, content, struct.pack(">I", checksum)])


def profile_chunk(profile: bytes) -> tuple[bytes, bytes]:
    """Return an iCCP chunk (11.3.2.3)."""
    return b"iCCP", b"profile\0\0" + zlib.compress(profile, 9)


def xmp_chunk(packet: bytes) -> tuple[bytes, bytes]:
    """Return an iTXt chunk with XMP (11.3.3.4; ISO 16684-3, 1.1.5)."""
    return b"iTXt", XMP_KEYWORD + bytes(5) + packet


def resolution_chunk(dots_per_inch: tuple[float, float]) -> tuple[bytes, bytes]:
    """Return a pHYs chunk (11.3.4.3): pixels a metre."""
    return b"pHYs", struct.pack(">IIB", *(round(dots / _METRES) for dots in dots_per_inch), 1)
