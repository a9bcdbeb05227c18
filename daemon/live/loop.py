"""Frame by frame: faces are found and followed, hidden, and the frame goes on, one behind the camera.

A frame waits until the next one was looked at: a face that is found there first was there a moment before. Nothing goes
on that was not looked at, however slow the machine is: frames are dropped then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from uncnn.daemon.live import caption
from uncnn.daemon.live.counting import Counts
from uncnn.daemon.live.errors import LiveError
from uncnn.daemon.live.far_look import FarLook, others
from uncnn.daemon.live.following import Following, LiveFace
from uncnn.daemon.live.hiding import cell_of, hide
from uncnn.daemon.live.sending import Outgoing, Sender
from uncnn.daemon.live.sinks import Sink
from uncnn.daemon.live.sources import LOOK_PIXELS, Taken
from uncnn.daemon.protect.wire import Report, Stage
from uncnn.plugins.api import Detector, Face, Pixels, Point
from uncnn.plugins.tracking import SURE

if TYPE_CHECKING:
    from uncnn.daemon.live.masking import Masking  # torch: only where somebody has a mask

CUT_255: Final = 16.0
"""Mean difference of light from one frame to the next from which on it is another shot."""

_EVERY: Final = 12  # pixels, of which one is compared for that
_REPORT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """A frame that waits for the next one."""

    number: int
    taken: Taken
    pixels: Pixels


@dataclass(slots=True)
class Loop:
    """Takes frames and sends them on."""

    detector: Detector
    sink: Sink
    report: Report
    masking: Masking | None = None
    far_look: FarLook | None = None
    following: Following = field(default_factory=Following)
    counts: Counts = field(default_factory=Counts)
    _reported: float = 0.0

    def run(self, frames: Iterable[Taken], stopped: Callable[[], bool]) -> None:
        """Send all frames on until it is told to stop. Raises LiveError; what the frames and the sink raise."""
        sender = Sender(self.sink)
        try:
            self._run(frames, stopped, sender)
        finally:
            sender.close()

    def _run(self, frames: Iterable[Taken], stopped: Callable[[], bool], sender: Sender) -> None:
        held: Held | None = None
        for number, taken in enumerate(frames):
            pixels = taken.pixels()
            is_cut = held is not None and self._is_cut(held.pixels, pixels)
            known = list(self.following.faces)
            self.following.look(number, self._faces(taken, pixels, held is None or is_cut), taken.stamp, is_cut)
            if held is not None:
                gone = [face for face in known if not any(face is other for other in self.following.faces)]
                sender.send(self._hidden(held, [*self.following.faces, *gone], number, taken.stamp))
            held = Held(number, taken, pixels)
            if stopped():
                break
        if held is not None:
            sender.send(self._hidden(held, self.following.faces, held.number, held.taken.stamp))

    def _faces(self, taken: Taken, pixels: Pixels, is_new: bool) -> list[Face]:
        """Return what is seen in a frame, and small faces that were seen lately; `is_new`: it begins a shot."""
        small = taken.pixels(LOOK_PIXELS)
        found = [_enlarged(face, small, pixels) for face in self.detector.detect(small)]
        far = self.far_look.faces(pixels, is_new) if self.far_look is not None else []
        return [*found, *others(far, found)]

    def _hidden(self, held: Held, faces: Sequence[LiveFace], later: int, now: float) -> Outgoing:
        """Return a frame with its faces hidden, `later` being the latest that was looked at, at `now` seconds."""
        picture = held.pixels
        masked = self._put_masks(picture, held.number, later, faces)
        hidden = [face for face in faces if face.number not in masked]
        for face in hidden:
            hide(picture, self.following.place(face, held.number, later, now), cell_of(face.box(held.number)))
        caption.put(picture)
        if self.counts.seconds - self._reported >= _REPORT_SECONDS:
            self._reported = self.counts.seconds
            rate = self.counts.frames / self.counts.seconds
            self.report(Stage(f"{rate:.0f} frames a second, {len(faces)} faces, {self.counts.within_ms(0.95)} ms"))
        sent = partial(self.counts.sent, len(hidden), len(masked), held.taken.arrived)
        return Outgoing(picture, held.taken.stamp, sent)

    def _put_masks(self, picture: Pixels, number: int, later: int, faces: Sequence[LiveFace]) -> set[int]:
        """Change those faces that are surely there and whose mask holds, and return their numbers."""
        if self.masking is None:
            return set()
        from uncnn.daemon.live.masking import put

        seen = [(face, own) for face in faces if (own := face.at(number)) is not None and face.at(later) is not None]
        sure = [(face, own) for face, own in seen if own.score >= SURE]
        self.masking.offer(picture, sure)
        masked = set()
        for face, own in sure:
            change = self.masking.change_of(face)
            if change is not None:
                put(picture, change, np.array(own.landmarks))
                masked.add(face.number)
        return masked

    @staticmethod
    def _is_cut(before: Pixels, now: Pixels) -> bool:
        """Return whether a frame begins another shot. Raises LiveError: it has another size."""
        if before.shape != now.shape:
            raise LiveError("source", "the source changes the size of its frames: start again")
        one, other = (each[::_EVERY, ::_EVERY, 1].astype(np.int16) for each in (before, now))
        return float(np.abs(one - other).mean()) > CUT_255


def _enlarged(face: Face, small: Pixels, pixels: Pixels) -> Face:
    """Return a face of a smaller picture of a frame in the pixels of the frame."""
    across, down = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]

    def moved(x: float, y: float) -> Point:
        return (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5

    left_eye, right_eye, nose, left, right = (moved(*point) for point in face.landmarks)
    return Face((*moved(*face.box[:2]), *moved(*face.box[2:])), (left_eye, right_eye, nose, left, right), face.score)
