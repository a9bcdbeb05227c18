"""GIF89a of one picture."""

from __future__ import annotations

from typing import Final

from uncnn.daemon.photos import gif
from uncnn.daemon.photos.containers import Wanted, image_of, saved
from uncnn.daemon.photos.formats.photo_format import PhotoFormat
from uncnn.daemon.photos.inventory.others import gif_things
from uncnn.daemon.photos.resolution import dots_per_inch
from uncnn.daemon.photos.values import Encoding, Stored


def _write(stored: Stored, _wanted: Wanted) -> bytes:
    clear = stored.palette.opacity.find(b"\0") if stored.palette is not None else -1
    return saved(image_of(stored), "GIF", {"optimize": False} | ({"transparency": clear} if clear >= 0 else {}))


FORMAT: Final = PhotoFormat(
    name="GIF",
    header=lambda data, _name: (int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")),
    missing=gif.missing_part,
    pixel_bytes=lambda _data, _name: 29,
    encoding=lambda image, _data: Encoding(dots_per_inch=dots_per_inch(image)),
    write=_write,
    things=gif_things,
    readable=gif.bare,
    indexed=True,
    profiled=False,
)
