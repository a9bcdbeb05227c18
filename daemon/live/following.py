"""Faces followed from frame to frame as they come, without knowing what comes next.

Every frame is looked at. A face that is not seen for a while is still taken to be about where it was, in a box that
grows; one that is first seen in a frame is taken to have been there in the frame before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from uncnn.daemon.live.hiding import GROWN, around
from uncnn.plugins.api import Face
from uncnn.plugins.geometry import Floats
from uncnn.plugins.tracking import FAINT, SURE, Track, expected_box, iou, matched

BEGINS: Final = 0.3
"""From this score on a detection begins a track: a thing that is hidden is better than a face that is not."""

WAITS_SECONDS: Final = 1.5
"""So long a face is hidden on where it was lost, if it was surely one."""

GHOST_SECONDS: Final = 0.7
"""So long one that was never seen well: until small faces were looked for again."""

GROWS: Final = 1.0
"""Times its size a second: by so much the place of a face that is not seen becomes larger on each side."""

MEETS_IOU: Final = 0.05
"""Boxes that have more in common may have been taken for each other: who they are has to be found out anew."""

UNWATCHED_SECONDS: Final = 0.5
"""A face that was not seen for longer may have been taken for another's, too."""

_KEPT: Final = 3  # looks of a track; what is older is of no use here


@dataclass(slots=True)
class LiveFace:
    """One face: its latest looks, and since when it was not seen."""

    number: int
    track: Track = field(default_factory=Track)
    looks: int = 0
    best: float = 0.0  # score
    seen_at: float = 0.0  # seconds
    met: int = 0  # counts up where it may have become another's face

    def take(self, frame: int, face: Face, seconds: float) -> None:
        """Note that it was seen."""
        self.track.take(frame, face)
        for old in self.track.frames[:-_KEPT]:
            del self.track.seen[old]
        del self.track.frames[:-_KEPT]
        self.met += self.looks > 0 and seconds - self.seen_at > UNWATCHED_SECONDS
        self.looks += 1
        self.best, self.seen_at = max(self.best, face.score), seconds

    def at(self, frame: int) -> Face | None:
        """Return the face as it was seen in a frame, or None where it was not."""
        return self.track.seen.get(frame)

    def box(self, frame: int) -> Floats:
        """Return where it is in a frame, (4,): as it was seen, or as expected."""
        seen = self.at(frame)
        return np.array(seen.box) if seen is not None else expected_box(self.track, frame)

    def waits(self, seconds: float) -> bool:
        """Return whether it is still expected at a time at which it was not seen."""
        return seconds - self.seen_at <= (WAITS_SECONDS if self.best >= SURE else GHOST_SECONDS)


@dataclass(slots=True)
class Following:
    """The faces that are there, by the frames that were looked at one after another."""

    faces: list[LiveFace] = field(default_factory=list)
    count: int = 0  # of all faces so far

    def look(self, frame: int, found: Sequence[Face], seconds: float, is_cut: bool) -> None:
        """Take in what a detector sees in a frame, fainter faces too; at a cut all that were there are others."""
        if is_cut:
            self.faces = []
        by_track = {id(face.track): face for face in self.faces}
        left, open_ones = list(found), [face.track for face in self.faces]
        for least, most in ((SURE, np.inf), (FAINT, SURE)):
            near = [face for face in left if least <= face.score < most]
            for track, face in matched(open_ones, frame, near):
                by_track[id(track)].take(frame, face, seconds)
                left.remove(face)
                open_ones = [other for other in open_ones if other is not track]
        self.faces = [face for face in self.faces if face.waits(seconds)]
        for face in left:
            if face.score >= BEGINS and not self._is_there(frame, face):
                self.faces.append(LiveFace(self.count))
                self.faces[-1].take(frame, face, seconds)
                self.count += 1
        for one, other in self._meeting(frame):
            one.met += 1
            other.met += 1

    def place(self, face: LiveFace, frame: int, later: int, seconds: float) -> Floats:
        """Return what is hidden of a face in a frame, (4,), `later` being the latest that was looked at."""
        boxes = [face.box(each) for each in (frame, later) if each >= face.track.frames[0]]
        missing = max(seconds - face.seen_at, 0.0)
        return around(boxes, GROWN + GROWS * missing)

    def _is_there(self, frame: int, face: Face) -> bool:
        """Return whether a track is at a detection that no track took: the same face, seen twice."""
        return any(iou(other.box(frame), np.array(face.box)) > 0.6 for other in self.faces if other.at(frame))

    def _meeting(self, frame: int) -> Iterator[tuple[LiveFace, LiveFace]]:
        """Yield the faces whose boxes lie over each other."""
        for place, one in enumerate(self.faces):
            for other in self.faces[place + 1 :]:
                if iou(one.box(frame), other.box(frame)) > MEETS_IOU:
                    yield one, other
