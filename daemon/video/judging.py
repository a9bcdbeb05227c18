"""What judges say of a copy of a clip: every face at its worst over the frames that are looked at, and on average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from uncnn.daemon.config.policies import Margin
from uncnn.daemon.verify.places import places
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement
from uncnn.daemon.video.messages import TrackVerdict
from uncnn.daemon.video.squeezing import CRF_28
from uncnn.daemon.video.timeline import Timeline
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.geometry import same_face
from uncnn.plugins.recognisers.cards import compare, margin_of
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.tracking import Track

AS_IS: Final = "as-is"
MEAN: Final = "mean"
"""Views: of the frame that is most alike, and of what all frames of a track have in common."""

VIEWS: Final = (AS_IS, CRF_28, MEAN)

Vector = npt.NDArray[Any]


@dataclass(slots=True)
class Likeness:
    """How like the original one recogniser found one face, frame after frame."""

    alike: list[tuple[int, float]] = field(default_factory=list)  # frame, its worst
    clean: Vector | None = None  # sum
    seen: Vector | None = None  # sum

    def worst(self, recogniser: OnnxRecogniser) -> float:
        """Return what speaks most for one person; NaN does, and so does it where nothing was looked at."""
        values = np.array([value for _, value in self.alike] or [math.nan])
        return float(recogniser.most_alike(values[:, None])[0])

    def add(self, clean: Vector, seen: Vector) -> None:
        """Take in the embeddings of a frame, for their means."""
        self.clean = clean if self.clean is None else self.clean + clean
        self.seen = seen if self.seen is None else self.seen + seen


@dataclass(slots=True)
class TrackJudge:
    """Notes what every recogniser says of one face."""

    recognisers: Sequence[OnnxRecogniser]
    track: Track
    notes: dict[tuple[str, str], Likeness] = field(default_factory=dict)  # by recogniser and view
    found: int = 0  # frames in which the detector finds it in the copy
    frames: int = 0
    shown: tuple[float, Face] | None = None  # the largest

    def is_shown(self, frame: int, faces: Sequence[Face]) -> bool:
        """Return whether one of `faces`, of a frame, is this one."""
        return _same(self.track.landmarks(frame), self.track.box(frame), faces) is not None

    def look(self, frame: int, before: Pixels, after: Pixels, faces: Sequence[Face]) -> None:
        """Compare a frame with its original; `faces` are those that the copy shows, of which one may be this."""
        there = self.track.landmarks(frame)
        again = _same(there, self.track.box(frame), faces)
        self.frames += 1
        self.found += again is not None
        own = again or _face_at(there, self.track.box(frame))
        if self.shown is None or own.size_px > self.shown[0]:
            self.shown = own.size_px, own
        where = places(np.array([own.landmarks]), there[None])
        for recogniser in self.recognisers:
            clean = recogniser.embed(before, where[0])
            seen = recogniser.embed(after, np.concatenate(where))
            alike = compare(recogniser.card, np.tile(clean, (len(where), 1)), seen)
            note = self.notes.setdefault((recogniser.card.name, AS_IS), Likeness())
            note.alike.append((frame, float(recogniser.most_alike(alike[:, None])[0])))
            note.add(unit(recogniser, clean[0]), unit(recogniser, seen[0]))

    def look_squeezed(self, frame: int, before: Pixels, after: Pixels, faces: Sequence[Face]) -> None:
        """Compare a frame that was encoded once more with its original."""
        there = self.track.landmarks(frame)
        again = _same(there, self.track.box(frame), faces)
        where = np.array([again.landmarks]) if again is not None else there[None]
        for recogniser in self.recognisers:
            clean, seen = recogniser.embed(before, where), recogniser.embed(after, where)
            note = self.notes.setdefault((recogniser.card.name, CRF_28), Likeness())
            note.alike.append((frame, float(compare(recogniser.card, clean, seen)[0])))

    def left_alone(self) -> TrackVerdict:
        """Return the verdict on a face that the policy leaves alone: nobody was asked."""
        face = next(iter(self.track.seen.values()))
        return TrackVerdict(FaceVerdict(face, False, True, (), spared=True), (), (), (), False)

    def verdict(self, timeline: Timeline, far: float, margin: Margin, smallest_px: float) -> TrackVerdict:
        """Return what became of the face."""
        judgements: list[Judgement] = []
        linked: set[int] = set()
        by_mean = False
        for recogniser in self.recognisers:
            card = recogniser.card
            asked = margin_of(card, margin)
            for view in (AS_IS, CRF_28):
                note = self.notes.get((card.name, view), Likeness())
                judgements.append(_judgement(recogniser, view, note.worst(recogniser), far, asked))
                linked.update(frame for frame, value in note.alike if card.links(value, far, asked))
            common = self.notes.get((card.name, AS_IS), Likeness())
            mean = math.nan
            if common.clean is not None and common.seen is not None:
                clean, seen = ((each[None] / self.frames).astype(np.float32) for each in (common.clean, common.seen))
                mean = float(compare(card, clean, seen)[0])
            judgements.append(_judgement(recogniser, MEAN, mean, far, asked))
            by_mean |= judgements[-1].linked
        face = self.shown[1] if self.shown else next(iter(self.track.seen.values()))
        verdict = FaceVerdict(face, self.track.size_px >= smallest_px, self.found > 0, tuple(judgements))
        return TrackVerdict(
            verdict,
            tuple(timeline.seconds(frame) for frame in sorted(linked)),
            tuple(sorted({timeline.window_of(frame) for note in self.notes.values() for frame, _ in note.alike})),
            tuple(sorted({timeline.window_of(frame) for frame in linked})),
            by_mean,
        )


def _judgement(recogniser: OnnxRecogniser, view: str, after: float, far: float, margin: float) -> Judgement:
    """Return a judgement; a face is like itself, so `before` is what its own frame says of it."""
    card = recogniser.card
    same = np.ones((1, card.embedding), np.float32)
    before = float(compare(card, same, same)[0])
    linked = math.isnan(after) or card.links(after, far, margin)
    return Judgement(
        card.name,
        card.role,
        card.metric,
        view,
        before,
        after,
        card.threshold(far),
        linked,
        margin,
        card.kind,
    )


def unit(recogniser: OnnxRecogniser, embedding: npt.NDArray[np.float32]) -> Vector:
    """Return an embedding of which means can be taken."""
    own = embedding.astype(np.float64)
    if recogniser.card.metric != "cosine":
        return own
    unit: Vector = own / max(float(np.linalg.norm(own)), 1e-9)
    return unit


def _same(there: Vector, box: Vector, faces: Sequence[Face]) -> Face | None:
    """Return which of `faces` a track is at."""
    expected = _face_at(there, box)
    return next((face for face in faces if same_face(expected, face)), None)


def _face_at(there: Vector, box: Vector) -> Face:
    left_eye, right_eye, nose, left, right = ((float(x), float(y)) for x, y in there)
    x0, y0, x1, y1 = map(float, box)
    return Face((x0, y0, x1, y1), (left_eye, right_eye, nose, left, right), 1.0)
