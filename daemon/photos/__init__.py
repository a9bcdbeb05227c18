"""Photos as files: bytes -> Photo -> bytes, and the views under which a verdict must hold.

One door to the `reader`, the `writer` and the views, so that callers need not know where each part lives.
"""

from __future__ import annotations

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.reader import decode
from uncnn.daemon.photos.values import PIXEL_LIMIT, Alpha, Encoding, Photo, PhotoError
from uncnn.daemon.photos.views import reencode
from uncnn.daemon.photos.writer import Released, encode

__all__ = [
    "PIXEL_LIMIT",
    "Alpha",
    "Encoding",
    "Format",
    "Photo",
    "PhotoError",
    "Released",
    "decode",
    "encode",
    "reencode",
]
