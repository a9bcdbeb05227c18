"""EXIF and the tags of a TIFF as things: every page of them, the maker's note by its size, the thumbnail by its own.

EXIF 2.32 (CIPA DC-008-2019), 4.6; the names are Pillow's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from PIL import ExifTags, Image, TiffImagePlugin

from uncnn.daemon.photos.inventory.segments import picture_words
from uncnn.daemon.photos.inventory.values import Thing, shortened, text_of, thing
from uncnn.daemon.photos.metadata import EXIF_PAGE, GPS_PAGE
from uncnn.daemon.text import size_words

_INTEROP_PAGE: Final = 0xA005
_THUMBNAIL_PAGE: Final = ExifTags.IFD.IFD1
_POINTERS: Final = frozenset({EXIF_PAGE, GPS_PAGE, _INTEROP_PAGE, 0x014A})
_MAKER_NOTE, _ORIENTATION, _USER_COMMENT, _EXPOSURE_TIME = 0x927C, 0x0112, 0x9286, 0x829A
_SHORT: Final = 0.3  # seconds: below, people say a fraction
_RESOLUTION: Final = frozenset({0x011A, 0x011B, 0x0128})
_WIDE_TEXT: Final = frozenset(range(0x9C9B, 0x9CA0))  # XPTitle to XPSubject, UTF-16
_CHARSETS: Final = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16-le", bytes(8): "utf-8"}
_THUMBNAIL_AT, _THUMBNAIL_SIZE = 0x0201, 0x0202
_LATITUDE, _LONGITUDE, _ALTITUDE, _TIME = 2, 4, 6, 7
_MOST_NUMBERS: Final = 8
_TURNS: Final = {
    1: "upright as it is stored",
    2: "stored mirrored",
    3: "stored upside down",
    4: "stored upside down and mirrored",
    5: "stored on its side and mirrored",
    6: "stored on its left side: to be turned clockwise",
    7: "stored on its side and mirrored",
    8: "stored on its right side: to be turned anticlockwise",
}


def orientation_words(orientation: int) -> str:
    """Return one of the eight orientations in words; another number as it is."""
    return _TURNS.get(orientation, str(orientation))


def exif_things(content: bytes, keyed: bool = True, left_out: frozenset[int] = frozenset()) -> Iterator[Thing]:
    """Yield what EXIF (a TIFF, with its name before it or not) says; `left_out` are tags of its first page.

    `keyed` says whether it is what a policy looks at: another one is left out whatever it says.
    """
    tags = Image.Exif()
    tags.load(content)
    yield from _page("EXIF", "page", tags, ExifTags.TAGS, keyed, left_out)
    yield from _page("EXIF", "exif", _below(tags, EXIF_PAGE), ExifTags.TAGS, keyed)
    yield from _gps(_below(tags, GPS_PAGE))
    yield from _page("EXIF", "interop", _below(tags, _INTEROP_PAGE), {1: "InteropIndex", 2: "InteropVersion"}, keyed)
    yield from _thumbnail(_below(tags, _THUMBNAIL_PAGE), content)


def _below(tags: Image.Exif, page: int) -> Mapping[int, Any]:
    try:
        return tags.get_ifd(page)
    except Exception:  # Pillow's parser raises what it meets
        return {}


def _page(
    group: str,
    page: str,
    tags: Mapping[int, Any],
    names: Mapping[int, str],
    keyed: bool,
    left_out: frozenset[int] = frozenset(),
) -> Iterator[Thing]:
    for tag in sorted(set(tags) - _POINTERS - left_out):
        name = names.get(tag, f"tag 0x{tag:04X}")
        try:
            value = tags[tag]
            words = value_words(tag, value)
        except Exception:  # the value is decoded only now
            value, words = None, "cannot be read"
        if tag == _MAKER_NOTE:
            yield Thing("maker note", name, _maker_words(value), "maker note")
        else:
            key = ("resolution", "") if page == "page" and tag in _RESOLUTION else (page, tag)
            yield thing(group, name, words, key if keyed else None)


def value_words(tag: int, value: Any) -> str:
    """Return the value of a tag in words."""
    if tag == _ORIENTATION:
        return orientation_words(value)
    if tag == _EXPOSURE_TIME and 0 < float(value) < _SHORT:
        return f"1/{1 / float(value):.4g}"
    if isinstance(value, bytes):
        return _bytes_words(tag, value)
    if isinstance(value, tuple | list):
        return ", ".join(map(_number, value)) if len(value) <= _MOST_NUMBERS else f"{len(value)} numbers"
    return _number(value)


def _bytes_words(tag: int, value: bytes) -> str:
    """Return bytes as the text that they are, a few as numbers, many by their size."""
    if tag == _USER_COMMENT and value[:8] in _CHARSETS:
        return text_of(value[8:], _CHARSETS[value[:8]], "utf-8")
    words = text_of(value, *(("utf-16-le",) if tag in _WIDE_TEXT else ()))
    few = words == size_words(len(value)) and len(value) <= _MOST_NUMBERS
    return " ".join(map(str, value)) if few else words


def _number(value: Any) -> str:
    if isinstance(value, TiffImagePlugin.IFDRational):
        return f"{float(value):.6g}" if value.denominator else "unknown"
    return f"{value:.6g}" if isinstance(value, float) else str(value).strip("\0 ")


def _maker_words(value: Any) -> str:
    if not isinstance(value, bytes):
        return "present"
    maker = shortened(value[:12].split(b"\0")[0].decode("ascii", "replace"), 12)
    return size_words(len(value)) + (f" ({maker})" if maker.isascii() and maker[:1].isalpha() else "")


def _gps(tags: Mapping[int, Any]) -> Iterator[Thing]:
    """Yield the tags of a position, each with the reference before it."""
    names = ExifTags.GPSTAGS
    for tag in sorted(tags):
        name = names.get(tag, f"tag 0x{tag:04X}")
        if name.endswith("Ref") and tag + 1 in tags:
            continue
        try:
            value = tags[tag]
            reference = tags.get(tag - 1, "") if names.get(tag - 1, "").endswith("Ref") else ""
            words = _gps_words(tag, value, reference)
        except Exception:  # as above
            words = "cannot be read"
        yield Thing("GPS", name, shortened(words), "position")


def _gps_words(tag: int, value: Any, reference: Any) -> str:
    if tag in (_LATITUDE, _LONGITUDE):
        return f"{_degrees(value):.6f} {str(reference).strip(chr(0))}".strip()
    if tag == _ALTITUDE:
        below = reference in (1, b"\1")
        return f"{'-' if below else ''}{float(value):.6g} m"
    words = value_words(0, value)
    if tag == _TIME:
        words = ":".join(f"{float(part):02.0f}" for part in value)
    return f"{words} {reference}".strip() if isinstance(reference, str) else words


def _degrees(value: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in value)
    return degrees + minutes / 60 + seconds / 3600


def _thumbnail(tags: Mapping[int, Any], content: bytes) -> Iterator[Thing]:
    """Yield the picture of the second page: what it shows is not cloaked."""
    if not tags:
        return
    at, size = tags.get(_THUMBNAIL_AT), tags.get(_THUMBNAIL_SIZE)
    start = content[6:] if content.startswith(b"Exif\0\0") else content
    if isinstance(at, int) and isinstance(size, int) and size > 0:
        words = picture_words(start[at : at + size])
    else:
        width, height = tags.get(0x0100, "?"), tags.get(0x0101, "?")
        words = f"{width} x {height} px"
    yield Thing("thumbnail", "in EXIF", shortened(words), "second picture")
