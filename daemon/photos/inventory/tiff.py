"""What a TIFF says besides its picture: the tags of its page, and further pictures in it.

TIFF 6.0; Adobe Photoshop TIFF Technical Notes (700 XMP, 34377 Photoshop's resources, 37724 its layers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from uncnn.daemon.photos.inventory.exif import exif_things
from uncnn.daemon.photos.inventory.icc import icc_things
from uncnn.daemon.photos.inventory.iptc import iptc_things, resource_things
from uncnn.daemon.photos.inventory.trailing import trailing_things
from uncnn.daemon.photos.inventory.values import Part, Thing
from uncnn.daemon.photos.inventory.xmp import xmp_things
from uncnn.daemon.photos.pages import pages_of
from uncnn.daemon.text import size_words

_PICTURE: Final = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 290, 291, 292, 293}
    | {301, 317, 318, 319, 320, 322, 323, 324, 325, 332, 334, 338, 339, 340, 341, 347, 529, 530, 531, 532, 559}
)
_LAYERS, _SUB_PAGES = 37724, 330


def _layers(content: bytes) -> Iterator[Thing]:
    yield Thing("Photoshop", "layers", size_words(len(content)), "second picture")


_WHOLE: Final[Mapping[int, Callable[[bytes], Iterator[Thing]]]] = {
    700: xmp_things,
    33723: iptc_things,
    34377: resource_things,
    34675: icc_things,
    _LAYERS: _layers,
}
"""Tags whose content is of another kind."""


def tiff_things(data: bytes) -> Iterator[Part]:
    """Yield what a TIFF says: of its page, of further ones, previews mostly, and what belongs to none."""
    yield lambda: exif_things(data, left_out=_PICTURE | set(_WHOLE))
    pages = list(pages_of(data))
    for tag, read in _WHOLE.items():
        if tag in pages[0].places:
            yield partial(read, data[pages[0].places[tag]])
    for page in pages[1:]:
        if page.size and page.parent in (None, _SUB_PAGES):
            yield Thing("preview", "further page", f"{page.size[0]} x {page.size[1]} px", "second picture")
    rest = data[max(page.end for page in pages) :]
    if rest.strip(b"\0"):
        yield lambda: trailing_things(rest)
