"""What the processes of the page are asked, that make pictures of photos and pull models, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

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


@dataclass(frozen=True, slots=True)
class ModelPulled:
    """What became of a model that was to be pulled."""

    state: Literal["installed", "present", "refused", "failed"]
    message: str


@dataclass(frozen=True, slots=True)
class PullModel(Ask[ModelPulled]):
    """Pull a model of the catalog."""

    name: str
    licences: tuple[str, ...]  # that are accepted
    mirror: str | None  # where its files are taken from; None: from their publishers
