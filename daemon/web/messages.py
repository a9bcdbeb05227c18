"""What the process that makes pictures of photos is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.wire import Ask

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the photo."""

PREVIEW: Final = "preview"
"""The ending of a picture of a photo, beside it."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """A picture of a photo."""

    picture: Content  # JPEG, upright, sRGB, nothing else in it
    size: tuple[int, int]  # of the photo: width, height


@dataclass(frozen=True, slots=True)
class Preview(Ask[Previewed]):
    """Make a picture of a photo that a browser shows."""

    photo: Content
    name: str  # what a person calls it
    longest: int  # pixels of the longer side at most
    box: Box | None = None  # of a face: the picture is of it and of what is around it; None: of the whole photo
