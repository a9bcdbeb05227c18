"""What stands behind the end of a picture: further pictures, the video of a motion photo, anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uncnn.daemon.photos.inventory.segments import end_of_picture, picture_words
from uncnn.daemon.photos.inventory.values import Thing
from uncnn.daemon.photos.jpeg import START
from uncnn.daemon.text import size_words

GROUP: Final = "behind the picture"
_PICTURE: Final = START + b"\xff"
_VIDEO_BOX: Final = b"ftyp"
_MOST: Final = 32


def trailing_things(rest: bytes, what: str = "second picture") -> Iterator[Thing]:
    """Yield what follows a picture; `what` is what a JPEG found there is called."""
    at = 0
    for _ in range(_MOST):
        picture, video = rest.find(_PICTURE, at), _video_at(rest, at)
        nearest = min((place for place in (picture, video) if place >= 0), default=len(rest))
        if rest[at:nearest].strip(b"\0"):
            yield _unknown(rest[at:nearest])
        if nearest == len(rest):
            return
        if nearest == video:
            yield Thing("video", "motion photo", size_words(len(rest) - video), "video")
            return
        at = picture + end_of_picture(rest[picture:])
        yield Thing(what, GROUP, picture_words(rest[picture:at]), "second picture")
    if rest[at:].strip(b"\0"):
        yield _unknown(rest[at:])


def _video_at(rest: bytes, start: int) -> int:
    """Return where an ISO base media file starts, or -1: its first box is small and says of which type it is."""
    found = rest.find(_VIDEO_BOX, start + 4)
    return found - 4 if found >= 0 and rest[found - 4 : found - 1] == b"\0\0\0" else -1


def _unknown(content: bytes) -> Thing:
    named = " (Samsung's trailer)" if b"SEFT" in content[-8:] else ""
    return Thing(GROUP, "data", f"{size_words(len(content))}{named}", "second picture" if named else None)
