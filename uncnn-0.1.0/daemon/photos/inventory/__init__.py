"""What a photo's file says besides its pixels, thing by thing: for people who want to know before they share it.

Nothing here decides what is kept: `keeping` asks those who write. A damaged file gives what can be read of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from uncnn.daemon.photos.inventory.boxes import box_things
from uncnn.daemon.photos.inventory.jpeg import jpeg_things
from uncnn.daemon.photos.inventory.others import bmp_things, gif_things
from uncnn.daemon.photos.inventory.png import png_things
from uncnn.daemon.photos.inventory.tiff import tiff_things
from uncnn.daemon.photos.inventory.values import Part, Thing
from uncnn.daemon.photos.inventory.webp import webp_things
from uncnn.daemon.photos.values import Format

__all__ = ["Thing", "inventory"]

_READERS: Final[Mapping[Format, Callable[[bytes], Iterator[Part]]]] = {
    "JPEG": jpeg_things,
    "PNG": png_things,
    "WEBP": webp_things,
    "TIFF": tiff_things,
    "HEIF": box_things,
    "AVIF": box_things,
    "BMP": bmp_things,
    "GIF": gif_things,
}
_MOST: Final = 5000


def inventory(data: bytes, photo_format: Format) -> tuple[Thing, ...]:
    """Return what a file of this format says, in the order of the file; never raises."""
    found: list[Thing] = []
    for part in _guarded(_READERS[photo_format](data)):
        for each in [part] if isinstance(part, Thing) else _guarded(part()):
            if isinstance(each, Thing) and len(found) < _MOST:
                found.append(each)
    return tuple(found)


def _guarded(parts: Iterator[Part] | Iterator[Thing]) -> Iterator[Part]:
    """Yield what comes until something cannot be read, which becomes a thing of its own."""
    try:
        yield from parts
    except Exception as error:  # parsers of strangers' bytes raise whatever they meet
        yield Thing("damaged", type(error).__name__, "a part of what the file says cannot be read")
