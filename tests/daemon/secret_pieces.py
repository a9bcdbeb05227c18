"""The pieces that a photo file consists of, with not a byte left over: what is none of them is a place to hide."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

import tifffile

_FRAMES: Final = {0xC0: "SOF0", 0xC1: "SOF1", 0xC2: "SOF2", 0xC4: "DHT", 0xDB: "DQT", 0xDA: "SOS", 0xDD: "DRI"}


def pieces(data: bytes, photo_format: str) -> list[str]:
    """Return the names of the pieces of a file in order. Raises ValueError where bytes belong to none."""
    return _READERS[photo_format](data)


def _end(data: bytes, at: int) -> None:
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes behind the end")


def _jpeg(data: bytes) -> list[str]:
    found, at = [], 2
    while data[at : at + 2] != b"\xff\xd9":
        if data[at] != 0xFF:
            raise ValueError(f"byte {at} is in no segment")
        marker, size = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        name = _FRAMES.get(marker, f"APP{marker & 15}" if 0xE0 <= marker <= 0xEF else f"{marker:02x}")
        found.append(
            name + (" " + data[at + 4 :].split(b"\0", 1)[0].decode("latin-1") if name.startswith("APP") else "")
        )
        at += 2 + size
        while name == "SOS" and (data[at] != 0xFF or data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7):
            at += 1
    _end(data, at + 2)
    return found


def _png(data: bytes) -> list[str]:
    found, at = [], 8
    while at < len(data):
        found.append(data[at + 4 : at + 8].decode("latin-1"))
        at += 12 + struct.unpack_from(">I", data, at)[0]
    _end(data, at)
    return found


def _webp(data: bytes) -> list[str]:
    found, at = [], 12
    while at < len(data):
        found.append(data[at : at + 4].decode("latin-1"))
        size = struct.unpack_from("<I", data, at + 4)[0]
        at += 8 + size + size % 2
    _end(data, at)
    _end(data, 8 + struct.unpack_from("<I", data, 4)[0])
    return found


def _boxes(data: bytes, start: int = 0, stop: int | None = None) -> list[str]:
    """Return the boxes, those inside with the name of the outer one before theirs, and the kinds of the items."""
    found, at, stop = [], start, len(data) if stop is None else stop
    while at < stop:
        size, name = struct.unpack_from(">I4s", data, at)
        inner = {b"meta": 12, b"iprp": 8, b"ipco": 8, b"iinf": 14, b"iref": 12}.get(name)
        found.append(name.decode("latin-1") + (" " + data[at + 16 : at + 20].decode() if name == b"infe" else ""))
        if inner:
            found += _boxes(data, at + inner, at + size)
        at += size
    if at != stop:
        raise ValueError(f"{stop - at} bytes in no box")
    return found


def _tiff(data: bytes) -> list[str]:
    """Return the tags of the pages, and how many bytes of the file none of them points to."""
    order = "<" if data[:2] == b"II" else ">"
    taken = [(0, 8)]
    pages: list[int] = [struct.unpack_from(f"{order}I", data, 4)[0]]
    found = []
    while pages:
        at = pages.pop()
        count = struct.unpack_from(f"{order}H", data, at)[0]
        taken.append((at, at + 2 + 12 * count + 4))
        pages += [following] if (following := struct.unpack_from(f"{order}I", data, taken[-1][1] - 4)[0]) else []
        places: dict[int, tuple[int, ...]] = {}
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            number, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
            layout = f"{order}{length * (2 if kind in (5, 10) else 1)}{_TYPES[kind]}"
            size = struct.calcsize(layout)
            start = entry + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)[0]
            taken.append((start, start + size))
            found.append(tifffile.TIFF.TAGS.get(number, str(number)))
            if number in (273, 279):
                places[number] = struct.unpack_from(layout, data, start)
            pages += [struct.unpack_from(f"{order}I", data, entry + 8)[0]] if number in (330, 34665, 34853) else []
        taken += [(start, start + size) for start, size in zip(places.get(273, ()), places.get(279, ()), strict=True)]
    return [*found, *_gaps(data, taken)]


_TYPES: Final = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B", 10: "i", 13: "I"}


def _gaps(data: bytes, taken: list[tuple[int, int]]) -> list[str]:
    at, found = 0, []
    for start, stop in [*sorted(taken), (len(data), len(data))]:
        if any(data[at:start]):
            found.append(f"{start - at} bytes of no tag")
        at = max(at, stop)
    return found


def _gif(data: bytes) -> list[str]:
    found, at = [], 13 + 3 * 2 ** ((data[10] & 7) + 1) * (data[10] >> 7)
    while data[at] != 0x3B:
        found.append("image" if data[at] == 0x2C else f"extension {data[at + 1]:02x}")
        local = data[at + 9] if data[at] == 0x2C else 0
        at += 10 + (3 * 2 ** ((local & 7) + 1) if local & 0x80 else 0) + 1 if data[at] == 0x2C else 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    _end(data, at + 1)
    return found


def _bmp(data: bytes) -> list[str]:
    whole, reserved, start, header, width, height = struct.unpack_from("<IIIIii", data, 2)
    bits, compression, _, _, _, colours = struct.unpack_from("<HIIiiI", data, 28)
    table = 4 * (colours or (1 << bits if bits <= 8 else 0))
    _end(data, start + (bits * width + 31) // 32 * 4 * abs(height))
    if reserved or compression or whole != len(data) or start != 14 + header + table:
        raise ValueError(f"a gap before the pixels: they start at {start}")
    return [f"header {header}"]


_READERS: Final[Mapping[str, Callable[[bytes], list[str]]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "HEIF": _boxes,
    "AVIF": _boxes,
    "TIFF": _tiff,
    "GIF": _gif,
    "BMP": _bmp,
}
