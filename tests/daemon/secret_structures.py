"""Secrets in the structures of TIFF, EXIF and HEIF: pages, directories, maker notes and pictures beside the picture."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Final

import photo_samples as samples
from PIL import Image
from secret_bytes import Pictures, Planted, named
from secret_marks import mark

Entry = tuple[int, int, bytes]
"""Number and type of a tag, and its value as bytes."""

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
_ASCII, _SHORT, _LONG, _UNDEFINED = 2, 3, 4, 7
_PRIVATE: Final = {
    "TIFF GDAL metadata": 42112,
    "TIFF GeoAsciiParams": 34737,
    "TIFF private tag": 65001,
    "TIFF Photoshop layers": 37724,
    "TIFF PageName": 285,
    "TIFF INGR": 33922,
}
ALPHA: Final = {"HEIF": b"urn:mpeg:hevc:2015:auxid:1", "AVIF": b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"}
DEPTH: Final = {"HEIF": b"urn:mpeg:hevc:2015:auxid:2", "AVIF": b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth"}
GAIN_MAP: Final = b"urn:com:apple:photo:2020:aux:hdrgainmap"


def directory(entries: list[Entry], at: int, order: str, following: int = 0) -> bytes:
    """Return an IFD that stands at `at`, with the values that do not fit in it behind it."""
    table, values = b"", b""
    behind = at + 2 + 12 * len(entries) + 4
    for number, kind, value in sorted(entries):
        field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(f"{order}I", behind + len(values))
        values += value + bytes(len(value) % 2) if len(value) > 4 else b""
        table += struct.pack(f"{order}HHI", number, kind, len(value) // _SIZES[kind]) + field
    return struct.pack(f"{order}H", len(entries)) + table + struct.pack(f"{order}I", following) + values


def in_tiff(data: bytes, pictures: Pictures) -> Planted:
    """Plant in private tags, a page below, a thumbnail's page, the gap that the first directory leaves, and the end."""
    secrets = named(*_PRIVATE, "TIFF SubIFD", "TIFF thumbnail's page", "TIFF gap", "TIFF after its end")
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    table = [data[at : at + 12] for at in range(first + 2, first + 2 + 12 * count, 12)]
    whole = bytearray(data + bytes(len(data) % 2) + secrets["TIFF gap"] + pictures.jpeg + bytes(len(pictures.jpeg) % 2))
    pages = []
    for name in ("TIFF SubIFD", "TIFF thumbnail's page"):
        pages.append(len(whole))
        whole += _small_page(pictures, len(whole), order, secrets[name])
    new = []
    for name, number in _PRIVATE.items():
        value = secrets[name] + b"\0"
        new.append(struct.pack(f"{order}HHII", number, _ASCII, len(value), len(whole)))
        whole += value + bytes(len(value) % 2)
    new.append(struct.pack(f"{order}HHII", 330, _LONG, 1, pages[0]))
    struct.pack_into(f"{order}I", whole, 4, len(whole))
    table = sorted([*table, *new], key=lambda entry: int(struct.unpack(f"{order}H", entry[:2])[0]))
    whole += struct.pack(f"{order}H", len(table)) + b"".join(table) + struct.pack(f"{order}I", pages[1])
    secrets["TIFF second picture"] = pictures.middle(pictures.raw)
    return bytes(whole) + secrets["TIFF after its end"] + pictures.png, secrets


def _small_page(pictures: Pictures, at: int, order: str, described: bytes) -> bytes:
    """Return a page of the face in plain samples, which says that it is a smaller version of another."""
    side, bits = struct.pack(f"{order}H", pictures.side), struct.pack(f"{order}HHH", 8, 8, 8)
    entries = [
        (254, _LONG, struct.pack(f"{order}I", 1)),
        *((number, _SHORT, side) for number in (256, 257, 278)),
        (258, _SHORT, bits),
        *((number, _SHORT, struct.pack(f"{order}H", value)) for number, value in ((259, 1), (262, 2), (277, 3))),
        (270, _ASCII, described + b"\0"),
        (279, _LONG, struct.pack(f"{order}I", len(pictures.raw))),
    ]
    size = len(directory([*entries, (273, _LONG, bytes(4))], at, order))
    return directory([*entries, (273, _LONG, struct.pack(f"{order}I", at + size))], at, order) + pictures.raw


def of_camera(image: Image.Image, maker: str) -> Planted:
    """Return a JPEG as a Canon or an iPhone writes it: what it may say is in order, its maker note names its owner."""
    secrets = named(*(f"{maker} {name}" for name in _NOTES[maker]))
    entries = [(number, _ASCII, mark(f"{maker} {name}").encode() + b"\0") for name, number in _NOTES[maker].items()]
    note_at = 0
    for _ in range(2):  # Canon counts from the start of EXIF, so that the place must be known
        note = directory(entries, note_at, "<") if maker == "Canon" else _APPLE + directory(entries, len(_APPLE), ">")
        content = samples.saved(image, "JPEG", quality=92, exif=_camera_exif(maker, note))
        note_at = content.index(note[:2] + note[2:6]) - content.index(b"Exif\0\0") - 6
    return content, secrets


_APPLE: Final = b"Apple iOS\0\0\1MM"
_NOTES: Final[Mapping[str, Mapping[str, int]]] = {
    "Canon": {"OwnerName": 0x9, "InternalSerialNumber": 0x96, "ImageType": 0x6, "FirmwareVersion": 0x7},
    "Apple": {"BurstUUID": 0xB, "MediaGroupUUID": 0x11, "ImageUniqueID": 0x15, "PhotoIdentifier": 0x2B},
}
CAMERAS: Final = {"Canon": ("Canon", "Canon EOS 5D Mark IV"), "Apple": ("Apple", "iPhone 15 Pro Max")}


def _camera_exif(maker: str, note: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = CAMERAS[maker]
    exif[0x0132] = "2024:05:06 07:08:09"
    below = exif.get_ifd(0x8769)
    below[0x829A], below[0x829D], below[0x8827], below[0x9003] = 1 / 320, 2.8, 400, "2024:05:06 07:08:09"
    below[0x920A], below[0xA434], below[0x927C] = 50.0, "EF24-70mm f/2.8L II USM", note
    return exif


def with_picture_beside(image: Image.Image, photo_format: str, hidden: Image.Image, kind: bytes) -> bytes:
    """Return a HEIF or AVIF with an auxiliary picture of this kind, which holds the lightness of `hidden`."""
    both = image.copy()
    both.putalpha(hidden.convert("L").resize(image.size))
    buffer = io.BytesIO()
    both.save(buffer, photo_format, quality=90)
    return _renamed(buffer.getvalue(), ALPHA[photo_format], kind)


def _renamed(data: bytes, own: bytes, kind: bytes) -> bytes:
    """Return a file whose auxiliary picture is of another kind than opacity."""
    more = max(len(kind) - len(own), 0)
    at = data.index(own)
    content = bytearray(data[:at] + kind.ljust(len(own), b"\0") + data[at + len(own) :])
    if more:
        for box in (b"meta", b"iprp", b"ipco", b"auxC"):
            place = content.index(box) - 4
            struct.pack_into(">I", content, place, struct.unpack_from(">I", content, place)[0] + more)
        _move(content, more)
    return bytes(content)


def _move(content: bytearray, more: int) -> None:
    """Tell the locations of all pictures that they have moved (ISO/IEC 14496-12, 8.11.3; libheif's widths)."""
    at = content.index(b"iloc") + 4
    assert content[at : at + 6] == b"\0\0\0\0\x44\x40"
    (count,) = struct.unpack_from(">H", content, at + 6)
    for entry in range(at + 8, at + 8 + 18 * count, 18):
        (base,) = struct.unpack_from(">I", content, entry + 4)
        struct.pack_into(">I", content, entry + 4, base + more)
