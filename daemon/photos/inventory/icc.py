"""An ICC profile as things: its colours, and what else it says: who made it, when, for which machine."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from PIL import ImageCms

from uncnn.daemon.photos.inventory.values import Thing, shortened, thing
from uncnn.daemon.text import size_words

_SRGB_AREA: Final = 0.1121  # of the triangle of its primaries in CIE 1931 xy
_WIDE: Final = 1.1  # times that

COLOURS: Final = ("ICC", "colours")
"""The key of the colours of a profile."""


def icc_things(profile: bytes) -> Iterator[Thing]:
    """Yield what a profile says."""
    space = shortened(profile[16:20].decode("ascii", "replace"))
    yield Thing("ICC", "profile", f"{space}, {size_words(len(profile))}", None, COLOURS)
    name = description(profile)
    if name:
        yield thing("ICC", "description", name, ("ICC", name))
    about: Any = ImageCms.ImageCmsProfile(BytesIO(profile)).profile
    for title, words in (
        ("copyright", about.copyright),
        ("manufacturer", about.manufacturer),
        ("device model", about.model),
    ):
        if words and words.strip():
            yield thing("ICC", title, words)
    made = struct.unpack_from(">6H", profile, 24)
    if any(made):
        yield thing("ICC", "date made", "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*made))


def description(profile: bytes) -> str | None:
    """Return what a profile is called; None where it is broken or does not say."""
    try:
        found = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.profile_description
    except Exception:  # Little CMS raises PyCMSError, OSError, ValueError and more for broken profiles
        return None
    return shortened(found or "") or None


def is_wide(profile: bytes) -> bool:
    """Return whether the primaries of a profile span clearly more than those of sRGB."""
    try:
        about: Any = ImageCms.ImageCmsProfile(BytesIO(profile)).profile
        (ax, ay), (bx, by), (cx, cy) = (
            about_primary[1][:2] for about_primary in (about.red_primary, about.green_primary, about.blue_primary)
        )
    except Exception:  # as above; and grey and printers' profiles have none
        return False
    return bool(abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2 > _WIDE * _SRGB_AREA)
