"""ICC profiles as they are written: what they say of colour, and nothing of a person or a machine.

A profile is a file of its own, with names, dates, serial numbers and private tags (a display's, calibrated for one
machine, is called after its owner). It is rebuilt from the tags that the conversion of colours reads.
ICC.1:2022, 7.2 the header, 7.3 the table of tags, 9.2 the tags, 10 their types.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Final

from PIL import ImageCms

from uncnn.daemon.photos.profile_tags import bare

_CREATED: Final = b"\x07\xe8" + b"\0\x01" * 2 + bytes(6)  # 2024-01-01 00:00:00: the same bytes whenever it is built
_TAGS: Final = frozenset(
    {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad", b"cicp"}
    | {way + which for way in (b"A2B", b"B2A") for which in (b"0", b"1", b"2")}
)
_CLASSES: Final = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})
_D50: Final = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)  # 7.2.16: the one illuminant
_KNOWN: Final = (
    "sRGB IEC61966-2.1",
    "Display P3",
    "Adobe RGB (1998)",
    "ProPhoto RGB",
    "Rec. ITU-R BT.2020-1",
    "Generic Gray Gamma 2.2 Profile",
    "Dot Gain 20%",
    "U.S. Web Coated (SWOP) v2",
    "Coated FOGRA39 (ISO 12647-2:2004)",
)
"""Names that tell of colours alone; another is replaced by a plain one."""

_RIGHTS: Final = "as of the original profile"
_HEADER, _ENTRY = 128, 12
_MOST_TAGS: Final = 100


@cache
def srgb_profile() -> bytes:
    """Return the sRGB profile that is written into photos in colour that have none."""
    return clean_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), "sRGB")


def clean_profile(profile: bytes, name: str | None = None) -> bytes:
    """Return an ICC profile with its tags of colour alone; `name` is what it is called, None: its own where known.

    Raises ValueError where it is no profile.
    """
    try:
        (count,) = struct.unpack_from(">I", profile, _HEADER)
        entries = [struct.unpack_from(">4sII", profile, _HEADER + 4 + _ENTRY * at) for at in range(count % _MOST_TAGS)]
    except struct.error as error:
        raise ValueError("it ends before its tags do") from error
    outside = any(start + size > len(profile) for _, start, size in entries)
    if profile[36:40] != b"acsp" or count >= _MOST_TAGS or outside:
        raise ValueError("its header makes no sense")
    described = b"".join(profile[start : start + size] for tag, start, size in entries if tag == b"desc")
    kept = dict(_colours(profile, entries))
    name = name or _known(described) or f"{profile[16:20].decode('ascii', 'replace').strip()} profile"
    modern = profile[8] >= 4  # the version that names in many languages came with
    kept[b"desc"] = _described(name) if modern else _described_v2(name)
    kept[b"cprt"] = _described(_RIGHTS) if modern else b"text\0\0\0\0" + _RIGHTS.encode("ascii") + b"\0"
    return _assembled(_header(profile), kept)


def _colours(profile: bytes, entries: list[tuple[bytes, int, int]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the tags of colour that make sense."""
    for tag, start, size in entries:
        with suppress(ValueError):
            if tag in _TAGS:
                yield tag, bare(profile[start : start + size])


def _known(described: bytes) -> str | None:
    """Return the name in a `desc` tag where it is one of those that tell of colours alone."""
    words = described.replace(b"\0", b"").decode("latin-1")
    return next((name for name in _KNOWN if name in words), None)


def _header(profile: bytes) -> bytes:
    """Return a header of the version, the class, the colour spaces and the intent (7.2), and nothing else."""
    header = bytearray(_HEADER)
    header[8:10] = profile[8:10]
    header[12:16] = profile[12:16] if profile[12:16] in _CLASSES else b"mntr"
    header[16:24] = profile[16:24]
    header[24:36] = _CREATED
    header[36:40] = b"acsp"
    header[67] = profile[67] & 3
    header[68:80] = _D50
    return bytes(header)


def _described(text: str) -> bytes:
    """Return a multiLocalizedUnicodeType (10.15)."""
    words = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words


def _described_v2(text: str) -> bytes:
    """Return a textDescriptionType (ICC.1:2001-04, 6.5.17) without the names in other alphabets."""
    words = text.encode("ascii", "replace") + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(words)) + words + bytes(8 + 3 + 67)


def _assembled(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return a profile; tags of the same content share it, as the three curves mostly do."""
    body, table, places = b"", b"", dict[bytes, int]()
    start = _HEADER + 4 + _ENTRY * len(tags)
    for tag in sorted(tags):
        content = tags[tag]
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", tag, places[content], len(content))
    whole = header + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]
