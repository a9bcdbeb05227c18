"""What the first bytes of a file say: its format, and why it cannot be taken as a photo.

Nothing is decoded here. Pillow would reduce 16-bit samples silently, allocate a WebP canvas before anyone can look at
its size, and show the small preview of a RAW file as if it were the photo; so these are read from the bytes first.
"""

from __future__ import annotations

import re
from typing import Final

from uncnn.daemon.photos.jpeg import FRAMES, markers
from uncnn.daemon.photos.sizes import MOST_SCANS, MOST_SEGMENTS, boxes_size, is_endless, jpeg_size, webp_size
from uncnn.daemon.photos.tiff import check_tiff
from uncnn.daemon.photos.values import Format, PhotoError

_MAGIC: Final[tuple[tuple[bytes, Format], ...]] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
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
_CGBI: Final = b"CgBI"
_ODD_FRAMES: Final = (
    dict.fromkeys((0xC3, 0xCB), "a lossless JPEG")
    | dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical JPEG")
    | {0xF7: "a JPEG-LS"}
)
"""By the marker of their frame (ITU-T T.81, table B.1; T.87, C.1.1)."""
_BMP_HEADERS: Final = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
_HEIF_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"mif1"}
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
    for magic, photo_format in _MAGIC:
        if data.startswith(magic):
            return photo_format
    if data[:2] == b"BM" and data[14:18] in _BMP_HEADERS:
        return "BMP"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _sniff_boxes(data, name)
    raise PhotoError("not-a-photo", f"{name} is not a photo (it starts with {data[:8]!r}): remove it from the folder")


def _sniff_boxes(data: bytes, name: str) -> Format:
    """Return HEIF or AVIF by the brands of an ISO base media file (ISO/IEC 14496-12, 4.3)."""
    major = data[8:12]
    size = min(int.from_bytes(data[:4], "big"), 256)
    compatible = {data[start : start + 4] for start in range(16, size, 4)}
    if major in _SEQUENCE_BRANDS:
        raise PhotoError("animated", f"{name} is an image sequence ({major.decode()}): export a single picture")
    if major == b"avif" or (major == b"mif1" and b"avif" in compatible):
        return "AVIF"
    if major in _HEIF_BRANDS:
        return "HEIF"
    if major == b"crx ":
        raise PhotoError("unsupported", f"{name} is a RAW file (Canon), which is not supported: export it as JPEG")
    raise PhotoError("not-a-photo", f"{name} is not a photo but a file of type {major!r}: remove it from the folder")


def check_header(data: bytes, photo_format: Format, name: str, pixel_limit: int) -> tuple[int, int] | None:
    """Refuse what Pillow would reduce or allocate before anyone can look at it.

    Returns width and height where the first bytes give them.

    Raises PhotoError (`unsupported`, `animated`, `too-large`, `truncated`, `damaged`).
    """
    if photo_format == "JPEG" and is_endless(data):
        found = f"more than {MOST_SCANS} scans or {MOST_SEGMENTS} segments"
        raise PhotoError("damaged", f"{name} has {found}, which is not normal: export it again")
    if photo_format == "JPEG":
        _check_frame(data, name)
    if photo_format == "PNG":
        _check_first_chunk(data, name)
    if photo_format == "AVIF" and any(flags & 0x40 for flags in av1_flags(data)):
        raise deep(name, "more than 8 bits per sample")
    size = check_tiff(data, name).size if photo_format == "TIFF" else _header_size(data, photo_format)
    if size:
        check_size(size, name, pixel_limit)
    return size


def _check_frame(data: bytes, name: str) -> None:
    """Refuse a JPEG of a kind that no viewer of photos shows, by its name. Raises PhotoError (`unsupported`)."""
    frames = FRAMES | set(_ODD_FRAMES)
    marker, start = next((each for each in markers(data) if each[0] in frames), (0, len(data)))
    if marker in _ODD_FRAMES:
        kind = _ODD_FRAMES[marker]
        raise PhotoError("unsupported", f"{name} is {kind}, which is not supported: export it as an ordinary JPEG")
    bits = data[start + 4 : start + 5]
    if bits and bits != b"\x08":
        raise deep(name, f"{bits[0]} bits per sample (as a JPEG)")


def _check_first_chunk(data: bytes, name: str) -> None:
    """Refuse a PNG that does not begin with its header: its size would be read from anywhere.

    Raises PhotoError (`unsupported`, `damaged`).
    """
    first = data[12:16]
    if first == _CGBI:
        found = "is a PNG as Xcode packs it for iPhones (CgBI), which is not supported"
        raise PhotoError("unsupported", f"{name} {found}: export it as an ordinary PNG")
    if len(data) >= 16 and first != b"IHDR":
        raise PhotoError("damaged", f"{name} is a PNG that does not start with its header: export it again")


def _header_size(data: bytes, photo_format: Format) -> tuple[int, int] | None:
    """Return width and height as the first bytes give them, or None where they do not."""
    if photo_format == "PNG":
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if photo_format == "GIF":
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if photo_format == "BMP" and data[14] > 12:
        return int.from_bytes(data[18:22], "little"), abs(int.from_bytes(data[22:26], "little", signed=True))
    if photo_format == "WEBP":
        return webp_size(data)
    if photo_format in ("HEIF", "AVIF"):
        return boxes_size(data)
    return jpeg_size(data) if photo_format == "JPEG" else None


def check_size(size: tuple[int, int], name: str, pixel_limit: int) -> None:
    """Raise PhotoError (`too-large`) where `size`, width and height, holds more than `pixel_limit` pixels."""
    width, height = size
    if width * height > pixel_limit:
        found = f"{width} x {height} pixels ({width * height / 1e6:.0f} megapixels)"
        remedy = "make it smaller"
        raise PhotoError("too-large", f"{name} has {found}, the limit is {pixel_limit / 1e6:g} megapixels: {remedy}")


def deep(name: str, found: str) -> PhotoError:
    """Return the error for samples that would silently lose precision."""
    return PhotoError("unsupported", f"{name} has {found}, which would be lost: export it with 8 bits per sample")


def is_deep_png(data: bytes) -> bool:
    """Return whether a PNG has 16 bits a sample."""
    return data[24:25] == b"\x10"


def is_deep_tiff(data: bytes, name: str) -> bool:
    """Return whether a TIFF has 16 bits a sample. Raises PhotoError."""
    return check_tiff(data, name).bits == 16  # the number is the name


def av1_flags(data: bytes) -> list[int]:
    """Return the third byte of every AV1 configuration box (AV1 in ISOBMFF, 2.3.3).

    0x40 is more than 8 bits, 0x10 grey, 0x08 and 0x04 chroma halved across and down.
    """
    return [found.group(1)[0] for found in re.finditer(rb"av1C\x81.(.)", data[: 1 << 20], re.DOTALL)]
