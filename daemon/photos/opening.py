"""A photo's file opened by Pillow: what stands beside its picture, and is thrown away, cannot make it unreadable."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.formats import FORMATS


def open_image(data: bytes, photo_format: Format) -> Image.Image:
    """Return the opened file of a format. Raises what Pillow raises."""
    return Image.open(BytesIO(FORMATS[photo_format].readable(data)), formats=[photo_format])
