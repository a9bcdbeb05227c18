"""Which faces of a clip a policy leaves alone, because of whose they are. In doubt a face is cloaked.

A track may go over from one person to another who crosses it. So every key frame of it must say that it is left alone,
by the rules of a photo (`people.matching`), and so must what all of them have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uncnn.daemon.people.matching import Who, spared
from uncnn.daemon.people.store import People
from uncnn.daemon.protect.wire import Report, Stage
from uncnn.daemon.video.clip import frames_at, picture
from uncnn.daemon.video.judging import unit
from uncnn.daemon.video.timeline import Timeline
from uncnn.plugins.api import Pixels
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.tracking import Track

_EVERY = 30  # frames from one report to the next


@dataclass(frozen=True, slots=True)
class Sparing:
    """Whom a policy leaves alone, and the judges that tell."""

    judges: Sequence[OnnxRecogniser]
    who: Who
    people: People
    far: float

    def spares(self, track: Track, embeddings: Sequence[npt.NDArray[np.float32]]) -> bool:
        """Return whether a face is left alone; `embeddings` are those of each judge, (1, D)."""
        by_judge = {judge.card.name: own for judge, own in zip(self.judges, embeddings, strict=True)}
        face = next(iter(track.seen.values()))
        (alone,) = spared(
            self.who, self.people, self.judges, self.far, lambda judge, _: by_judge[judge.card.name], [face]
        )
        return alone


@dataclass(slots=True)
class TrackOwner:
    """What the key frames of one face say of whose it is."""

    sparing: Sparing
    track: Track
    alone: bool = True  # all of them so far
    frames: int = 0
    sums: list[npt.NDArray[Any]] = field(default_factory=list)  # of the embeddings, a judge each

    def look(self, frame: int, pixels: Pixels) -> None:
        """Take in a key frame; one that was not left alone stays so."""
        there = self.track.landmarks(frame)[None]
        embeddings = [judge.embed(pixels, there) for judge in self.sparing.judges]
        self.alone = self.alone and self.sparing.spares(self.track, embeddings)
        own = [unit(judge, each[0]) for judge, each in zip(self.sparing.judges, embeddings, strict=True)]
        self.sums = [known + one for known, one in zip(self.sums, own, strict=True)] if self.sums else own
        self.frames += 1

    def verdict(self) -> bool:
        """Return whether the face is left alone."""
        if not self.alone or not self.frames:
            return False
        return self.sparing.spares(self.track, [(each[None] / self.frames).astype(np.float32) for each in self.sums])


def left_alone(clip: Path, name: str, timeline: Timeline, sparing: Sparing, report: Report) -> list[bool]:
    """Return for each track whether the policy leaves it alone. Raises VideoError, OSError."""
    owners = [TrackOwner(sparing, track) for track in timeline.tracks]
    wanted: dict[int, list[TrackOwner]] = {}
    for owner in owners:
        keys = {key for window in timeline.span(owner.track) for key in timeline.key_frames(owner.track, window)}
        for frame in keys:
            wanted.setdefault(frame, []).append(owner)
    stamps = {timeline.stamps[number]: number for number in wanted}
    for count, (number, frame) in enumerate(frames_at(clip, name, stamps, from_start=0 in wanted)):
        open_ones = [owner for owner in wanted[number] if owner.alone]
        if open_ones:
            pixels = picture(frame)
            for owner in open_ones:
                owner.look(number, pixels)
        if count % _EVERY == 0:
            report(Stage("telling faces apart", count, len(wanted)))
    return [owner.verdict() for owner in owners]
