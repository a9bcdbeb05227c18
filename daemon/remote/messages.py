"""What a worker without torch is asked for besides what every worker is: faces for a server, and what came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import AttackChoice, Change
from uncnn.daemon.protect.wire import Ask

FACES: Final = "faces"
PATCHES: Final = "patches"
"""Endings of files beside a photo."""


@dataclass(frozen=True, slots=True)
class FacesToSend:
    """Faces that are changed at once."""

    packed: Content
    attack: AttackChoice
    strength: str
    count: int
    before: int  # faces that were changed before
    of: int  # faces to change in all
    alone: bool  # no other photo's faces are among them


@dataclass(frozen=True, slots=True)
class NoFaces:
    """There are none to change, or none any more."""


@dataclass(frozen=True, slots=True)
class NextFaces(Ask[FacesToSend | NoFaces]):
    """Cut the next faces of a photo that are to be changed."""

    change: Change
    alone: bool  # no other photo's faces are wanted


@dataclass(frozen=True, slots=True)
class Taken:
    """What came back is sound, and kept."""


@dataclass(frozen=True, slots=True)
class TakePatches(Ask[Taken]):
    """Check what was done to the faces that were cut last, and keep it until the photo is written."""

    packed: Content
    notes: tuple[str, ...]
