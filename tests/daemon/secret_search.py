"""Looks for what was planted: in a file's bytes as they are, unpacked, turned round, and as pictures inside it."""

from __future__ import annotations

import base64
import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress

import pillow_heif
from PIL import Image

_PACKED = re.compile(rb"[\x08\x18\x28\x38\x48\x58\x68\x78].|\x1f\x8b\x08", re.DOTALL)
_PICTURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|....ftyp(?:heic|heix|mif1|avif|mp42|isom|qt  )|II\*\0|MM\0\*"
    rb"|GIF8[79]a|BM....\0\0\0\0..\0\0[\x0c\x28\x38\x6c\x7c]\0\0\0",
    re.DOTALL,
)
_IN_BASE64 = re.compile(rb"(?:/9j/|iVBORw0KGgo|UklGR|R0lGOD)[A-Za-z0-9+/\s]{40,}")
_LEAST = 8  # bytes that make a packed stream one


def forms(secret: bytes) -> set[bytes]:
    """Return the ways in which the bytes of a secret may stand in a file."""
    found = {secret, secret[::-1], secret.hex().encode(), secret.hex().upper().encode()}
    found |= {_swapped(secret, width) for width in (2, 4)}
    if secret.isascii():
        found |= {b"".join(bytes((byte, 0)) for byte in secret), b"".join(bytes((0, byte)) for byte in secret)}
    for shift in range(3):  # base64 of a text that has so many bytes before it
        code = base64.b64encode(bytes(shift) + secret)
        found.add(code[4 if shift else 0 : -4])
    return {form for form in found if len(form) >= min(len(secret), 4)}


def _swapped(secret: bytes, width: int) -> bytes:
    whole = secret[: len(secret) // width * width]
    return b"".join(whole[at : at + width][::-1] for at in range(0, len(whole), width))


def layers(data: bytes) -> list[bytes]:
    """Return a file, and whatever in it zlib or gzip unpacks, also where a PNG has split it into chunks."""
    joined = b"".join(re.findall(rb"IDAT(.*?)(?=.{4}IDAT|.{4}IEND)", data, re.DOTALL)) if data[1:4] == b"PNG" else b""
    found = [data]
    for content in (data, joined):
        found += list(_unpacked(content))
    return found


def _unpacked(data: bytes) -> Iterator[bytes]:
    for start in (match.start() for match in _PACKED.finditer(data)):
        if data[start] != 0x1F and int.from_bytes(data[start : start + 2], "big") % 31:
            continue
        stream = zlib.decompressobj(47)  # either
        with suppress(zlib.error):
            content = stream.decompress(data[start:])
            if len(content) >= _LEAST:
                yield content


def found_in(places: list[bytes], secrets: dict[str, bytes]) -> list[str]:
    """Return the names of the secrets that stand in the layers of a file."""
    return [
        name for name, secret in secrets.items() if any(form in place for form in forms(secret) for place in places)
    ]


def pictures_in(data: bytes) -> list[tuple[int, str]]:
    """Return where in a file any decoder finds another picture than the file itself, and of which format."""
    found = []
    for layer in layers(data):
        starts = [match.start() for match in _PICTURES.finditer(layer) if match.start() or layer is not data]
        found += [(start, name) for start in starts if (name := _decoded(layer[start:]))]
        for match in _IN_BASE64.finditer(layer):
            with suppress(ValueError):
                name = _decoded(base64.b64decode(match.group() + b"==", validate=False))
                found += [(match.start(), name)] if name else []
    return found


def _decoded(data: bytes) -> str:
    """Return the format of a picture that can be decoded, or nothing."""
    if data[4:8] == b"ftyp" and data[8:12] in (b"mp42", b"isom", b"qt  "):
        return "film"
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return str(image.format)
    return ""


def beside_the_picture(data: bytes) -> list[str]:
    """Return the kinds of all items of a HEIF or AVIF but its one picture."""
    kinds = [kind.decode("latin-1") for kind in re.findall(rb"infe\x02\0\0.\0.\0\0(....)", data[: data.index(b"mdat")])]
    with suppress(Exception):
        info = pillow_heif.open_heif(data, convert_hdr_to_8bit=False).info
        kinds += ["thumbnail"] * len(info.get("thumbnails", [])) + ["depth"] * len(info.get("depth_images", []))
    return sorted(kinds)
