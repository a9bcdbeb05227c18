"""What the first bytes of a file say: its format, and why it cannot be taken as a photo.

Nothing is decoded here. Pillow would reduce 16-bit samples silently, allocate a WebP canvas before anyone can look at
its size, and show the small preview of a RAW file as if it were the photo; so these are read from the bytes first.
"""

from __future__ import annotations

from typing import Final

from uncnn.daemon.files import formats
from uncnn.daemon.files.formats import Format, brand
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.values import PhotoError

_REFUSED: Final[tuple[tuple[bytes, str], ...]] = (
    (b"FUJIFILMCCD-RAW", "a RAW file (Fujifilm)"),
    (b"IIRO", "a RAW file (Olympus)"),
    (b"IIRS", "a RAW file (Olympus)"),
    (b"MMOR", "a RAW file (Olympus)"),
    (b"IIU\0", "a RAW file (Panasonic)"),
    (b"FOVb", "a RAW file (Sigma)"),
    (b"\0MRM", "a RAW file (Minolta)"),
    (b"II+\0", "a BigTIFF"),
    (b"MM\0+", "a BigTIFF"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"II\xbc", "a JPEG XR"),
    (b"8BPS", "a Photoshop document"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"qoif", "a QOI picture"),
    (b"BPG\xfb", "a BPG picture"),
    (b"%PDF", "a PDF"),
)
_SEQUENCE_BRANDS: Final = {b"hevc", b"hevx", b"hevm", b"hevs", b"msf1", b"avis"}


def sniff(data: bytes, name: str) -> Format:
    """Return the format that the content has, whatever the file is called.

    Raises PhotoError (`empty`, `animated`, `unsupported`, `not-a-photo`).
    """
    if not data:
        raise PhotoError("empty", f"{name} is empty (0 bytes): copy it again")
    for magic, what in _REFUSED:
        if data.startswith(magic):
            raise PhotoError("unsupported", f"{name} is {what}, which is not supported: export it as JPEG, PNG or TIFF")
    for each in formats.FORMATS:
        if each.begins(data):
            return each.name
    major = brand(data)
    if major in _SEQUENCE_BRANDS:
        raise PhotoError("animated", f"{name} is an image sequence ({major.decode()}): export a single picture")
    if major == b"crx ":
        raise PhotoError("unsupported", f"{name} is a RAW file (Canon), which is not supported: export it as JPEG")
    found = f"a file of type {_words(major)}" if data[4:8] == b"ftyp" else f"it starts with {_words(data[:8])}"
    raise PhotoError("not-a-photo", f"{name} is not a photo ({found}): remove it from the folder")


def _words(data: bytes) -> str:
    """Return bytes for people: text as it stands, and others in hexadecimal digits."""
    text = data.decode("ascii", "replace").strip()
    return repr(text) if text.isprintable() and text.isascii() and text else data.hex(" ")


def check_header(data: bytes, photo_format: Format, name: str, pixel_limit: int) -> tuple[int, int] | None:
    """Refuse what Pillow would reduce or allocate before anyone can look at it.

    Returns width and height where the first bytes give them.

    Raises PhotoError (`unsupported`, `animated`, `too-large`, `truncated`, `damaged`).
    """
    size = FORMATS[photo_format].header(data, name)
    if size:
        check_size(size, name, pixel_limit)
    return size


def check_size(size: tuple[int, int], name: str, pixel_limit: int) -> None:
    """Raise PhotoError (`too-large`) where `size`, width and height, holds more than `pixel_limit` pixels."""
    width, height = size
    if width * height > pixel_limit:
        found = f"{width} x {height} pixels ({width * height / 1e6:.0f} megapixels)"
        remedy = "make it smaller"
        raise PhotoError("too-large", f"{name} has {found}, the limit is {pixel_limit / 1e6:g} megapixels: {remedy}")
