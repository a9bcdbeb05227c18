"""What is asked of the process that shows faces live, and what it answers when that is over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uncnn.daemon.people.store import Person
from uncnn.daemon.protect.wire import Ask


@dataclass(frozen=True, slots=True)
class Masked:
    """Somebody who is shown with a mask of their own."""

    person: Person
    file: Path  # of the mask


@dataclass(frozen=True, slots=True)
class LiveEnded:
    """What became of the frames."""

    frames: int  # that went on
    dropped: int  # that came too fast
    seconds: float
    faces: int  # that were followed, one after another
    hidden: int  # faces, counted in every frame
    masked: int  # likewise, those that were shown with a mask of their own
    linked: int  # faces that a judge knew in spite of their mask: they were hidden from then on
    median_ms: int  # from a frame's coming to its going
    slow_ms: int  # in 95 of 100 frames no longer
    problem: str  # why it ended before it was told to or the file did; "" where it did not


@dataclass(frozen=True, slots=True)
class GoLive(Ask[LiveEnded]):
    """Send what a source shows on, faces hidden, until it ends or is told to."""

    source: Path
    name: str  # what a person calls it
    is_camera: bool
    paced: bool  # as fast as it is shown: a frame that comes too early for that is dropped
