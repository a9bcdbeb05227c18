"""A photo's file opened by Pillow: what stands beside its picture, and is thrown away, cannot make it unreadable."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from uncnn.daemon.photos import gif, png, tiff
from uncnn.daemon.photos.jpeg import MARK_OF_END, without_stumps
from uncnn.daemon.photos.scans import lacks_end
from uncnn.daemon.photos.values import Format


def open_image(data: bytes, photo_format: Format) -> Image.Image:
    """Return the opened file of a format. Raises what Pillow raises."""
    return Image.open(BytesIO(readable(data, photo_format)), formats=[photo_format])


def readable(data: bytes, photo_format: Format) -> bytes:
    """Return the file with what its picture needs: without words, a JPEG with the mark of its end."""
    if photo_format == "PNG":
        return png.bare(data)
    if photo_format == "JPEG":
        return without_stumps(data) + (MARK_OF_END if lacks_end(data) else b"")
    if photo_format == "GIF":
        return gif.bare(data)
    return tiff.bare(data) if photo_format == "TIFF" else data
