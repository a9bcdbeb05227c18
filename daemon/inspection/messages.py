"""What the process that looks at a photo for `inspect` is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from uncnn.daemon.config.policies import Metadata
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.wire import Ask
from uncnn.daemon.verify.detection import Uncertain
from uncnn.exporters.registry.detectors import ChosenDetector
from uncnn.plugins.api import Rotated

FACES: Final = "faces"
"""The ending of the picture of a photo with its faces."""


@dataclass(frozen=True, slots=True)
class PhotoRead:
    """What a photo is and what it says, as it is printed."""

    photo: dict[str, Any]
    place: str | None
    said: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReadPhoto(Ask[PhotoRead]):
    """Read a photo; of what it says, tell whether `metadata` keeps it."""

    photo: Content
    name: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class FacesFound:
    """The faces of a photo, as they are printed."""

    faces: list[dict[str, Any]]
    picture: Content | None  # with the faces in it


@dataclass(frozen=True, slots=True)
class FindFaces(Ask[FacesFound]):
    """Find the faces of the photo that was read."""

    detector: ChosenDetector
    device: str
    smallest_px: float
    rotated: Rotated
    uncertain: Uncertain
    drawn_beside: Content | None = None  # a picture with the faces is made beside this; None: none is
