"""What a file is by its first bytes, where its name does not say: a photo that can be taken, or another thing.

The photo itself is looked at by `photos.headers`, in a sandboxed process. This is for the scan, which opens files only
to read a few bytes of those whose names say nothing.
"""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import Final

from uncnn.daemon.files.formats import FORMATS, brand
from uncnn.daemon.files.opening import READ

PHOTO: Final = "photo"
EMPTY: Final = "empty"

_BYTES: Final = 32
_REFUSED_BRANDS: Final = (b"hevc", b"hevx", b"msf1", b"avis", b"crx ")  # with a reason, once they are read
_PICTURES: Final = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"gimp xcf ", "GIMP"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"II\xbc", "JPEG XR"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"BPG\xfb", "BPG"),
    (b"FUJIFILMCCD-RAW", "RAW (Fujifilm)"),
    (b"IIRO", "RAW (Olympus)"),
    (b"IIRS", "RAW (Olympus)"),
    (b"MMOR", "RAW (Olympus)"),
    (b"IIU\0", "RAW (Panasonic)"),
    (b"FOVb", "RAW (Sigma)"),
    (b"\0MRM", "RAW (Minolta)"),
)
"""Pictures of a kind that is not read; `photos.headers` refuses them too."""


def kind_of(data: bytes) -> str:
    """Return what a file is that begins so: PHOTO, EMPTY, the name of a kind of picture that is not read, or ""."""
    if not data:
        return EMPTY
    for magic, name in _PICTURES:
        if data.startswith(magic):
            return name
    return PHOTO if brand(data) in _REFUSED_BRANDS or any(each.begins(data) for each in FORMATS) else ""


def kind_of_file(path: Path, found: os.stat_result) -> str:
    """Return what a regular file is by its first bytes; it is read again only once it has changed.

    Raises OSError: it cannot be read.
    """
    return _read(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=100_000)
def _read(path: Path, _state: tuple[int, ...]) -> str:
    opened = os.open(path, READ)
    try:
        return kind_of(os.read(opened, _BYTES)) if stat.S_ISREG(os.fstat(opened).st_mode) else ""
    finally:
        os.close(opened)
