"""Files that lie: of how large they are, of how much they hold, of where the next part of them is."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from functools import cache

from originals import chunk
from tiff_pages import entries, looped

PNG_START = 8


def resized(data: bytes, photo_format: str, width: int, height: int) -> bytes:
    """Return a file with this size in its headers, wherever they say one; the same where none does."""
    changed = bytearray(data)
    for at, layout, swapped in _sizes(data, photo_format):
        most = (1 << 8 * struct.calcsize(layout[0] + layout[1])) - 1
        sides = (min(each, most) for each in ((height, width) if swapped else (width, height)))
        struct.pack_into(layout, changed, at, *sides)
    if photo_format == "WEBP":
        _resize_webp(changed, width, height)
    if photo_format == "TIFF":
        for at, order, tag in entries(data):
            if tag in (256, 257):
                struct.pack_into(f"{order}HII", changed, at + 2, 4, 1, width if tag == 256 else height)
    return mended(bytes(changed)) if photo_format == "PNG" else bytes(changed)


def _sizes(data: bytes, photo_format: str) -> Iterator[tuple[int, str, bool]]:
    """Yield where two sides stand side by side, how, and whether the height comes first."""
    if photo_format == "PNG":
        yield 16, ">II", False
    elif photo_format == "BMP":
        yield 18, "<II", False
    elif photo_format == "GIF":
        yield 6, "<HH", False
        frame = data.find(b",\0\0\0\0")
        if frame >= 0:
            yield frame + 5, "<HH", False
    elif photo_format == "JPEG":
        for found in re.finditer(rb"\xff[\xc0-\xc2]\0[\x0b\x11\x14]\x08", data):
            yield found.end(), ">HH", True
    elif photo_format in ("HEIF", "AVIF"):
        for found in re.finditer(b"ispe", data):
            yield found.end() + 4, ">II", False


def _resize_webp(data: bytearray, width: int, height: int) -> None:
    width, height, start = max(width, 1), max(height, 1), 12
    while start + 18 <= len(data):
        name, size = struct.unpack_from("<4sI", data, start)
        if name == b"VP8X":
            for at, side in ((12, width), (15, height)):
                data[start + at : start + at + 3] = (min(side, 1 << 24) - 1).to_bytes(3, "little")
        elif name == b"VP8L":
            (bits,) = struct.unpack_from("<I", data, start + 9)
            sides = (min(width, 1 << 14) - 1) | (min(height, 1 << 14) - 1) << 14
            struct.pack_into("<I", data, start + 9, bits & 0xF0000000 | sides)
        elif name == b"VP8 ":
            struct.pack_into("<HH", data, start + 14, min(width, 16383), min(height, 16383))
        start += 8 + size + size % 2


def mended(data: bytes) -> bytes:
    """Return a PNG whose checksums are right, so that what was changed is read; other files as they are."""
    changed, start = bytearray(data), PNG_START
    if not data.startswith(b"\x89PNG"):
        return data
    while start + 12 <= len(changed):
        (size,) = struct.unpack_from(">I", changed, start)
        end = start + 8 + size
        if end + 4 > len(changed):
            break
        struct.pack_into(">I", changed, end, zlib.crc32(changed[start + 4 : end]))
        start = end + 4
    return bytes(changed)


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(64 << 20), 9)


def bomb(data: bytes, photo_format: str, number: int) -> bytes:
    """Return a small file that becomes large when it is read, of the kind with this number."""
    if photo_format == "PNG":
        inside = [
            (b"IDAT", _zeros()),
            (b"iCCP", b"profile\0\0" + _zeros()),
            (b"zTXt", b"Comment\0\0" + _zeros()),
            (b"iTXt", b"Comment\0\1\0\0\0" + _zeros()),
        ]
        plain = resized(data, "PNG", 5000, 5000) if number % 8 > 3 else data
        return plain[:33] + chunk(*inside[number % 4]) * (1 + number % 3) + plain[33:]
    if photo_format == "TIFF":
        return looped(data) if number % 2 else resized(data, "TIFF", 5000, 5000)
    if photo_format == "JPEG":  # scans without end: each goes over the whole picture
        scan = data.find(b"\xff\xda")
        return resized(data[:scan], "JPEG", 4000, 4000) + data[scan : scan + 40] * (200 + number % 2000) + data[scan:]
    if photo_format == "GIF":
        return data[:-1] + data[data.find(b",\0\0\0\0") : -1] * (number % 50) + b";"
    return resized(data, photo_format, 2000, 2000)  # libavif enlarges to what is said, and encoding takes its time
