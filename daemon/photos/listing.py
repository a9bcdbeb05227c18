"""What a photo's file says besides its pixels, thing by thing: for people who want to know before they share it.

Nothing here decides what is kept: `keeping` asks those who write. A damaged file gives what can be read of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uncnn.daemon.files.formats import Format
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.inventory.values import Part, Thing

_MOST: Final = 5000


def inventory(data: bytes, photo_format: Format) -> tuple[Thing, ...]:
    """Return what a file of this format says, in the order of the file; never raises."""
    found: list[Thing] = []
    for part in _guarded(FORMATS[photo_format].things(data)):
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
