"""Photos as files: bytes -> Photo -> bytes, and the views under which a verdict must hold.

One door to `photo_decode`, `photo_encode` and `views`, so that callers need not know where each part lives.
"""

from __future__ import annotations

from uncnn.daemon.photo_decode import decode
from uncnn.daemon.photo_encode import encode
from uncnn.daemon.photo_values import PIXEL_LIMIT, Alpha, Encoding, Format, Photo, PhotoError
from uncnn.daemon.views import View, parse_view, reencode

__all__ = [
    "PIXEL_LIMIT",
    "Alpha",
    "Encoding",
    "Format",
    "Photo",
    "PhotoError",
    "View",
    "decode",
    "encode",
    "parse_view",
    "reencode",
]
