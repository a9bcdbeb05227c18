"""Each face by itself: which judge comes nearest to linking it, and by how much; the worst of them, to be looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from uncnn.daemon.evaluate.adversaries import Judge, closeness
from uncnn.daemon.evaluate.findings import released
from uncnn.daemon.evaluate.intervals import Rate, rate
from uncnn.daemon.evaluate.plan import Plan
from uncnn.daemon.evaluate.values import Session, Shot
from uncnn.daemon.verify.jod import Jod
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import distance


@dataclass(frozen=True, slots=True)
class Nearest:
    """The judge that comes nearest to a link."""

    judge: str
    beyond: float  # its threshold, as a share of the distance that this stands for; below 0: it links


@dataclass(frozen=True, slots=True)
class FaceFinding:
    """What became of one face at one strength, in the first view."""

    person: str
    photo: str
    face_px: float
    strength: str
    jod: Jod
    own: Nearest | None  # to its own original; None: it was held, or no judge found a face
    cross: Nearest | None  # to another clean photo of the person


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The photos of a strength that the judge which is worst for each of them links, in the first view."""

    strength: str
    own: Rate  # to its own original
    cross: Rate  # to another clean photo of the person


def faces_of(session: Session, plan: Plan, judges: Sequence[Judge]) -> Iterator[FaceFinding]:
    """Yield each face at each strength but UNCLOAKED."""
    for strength in plan.strengths:
        asked = [judge for judge in judges if released(session, judge.name, strength, plan.views[0]) is not None]
        alike = [_alike(session, plan, judge, strength) for judge in asked]
        for number, shot in enumerate(session.shots):
            own, cross = (_nearest(asked, [rows[which][number] for rows in alike]) for which in (0, 1))
            yield FaceFinding(shot.person, shot.name, shot.face_px, strength, shot.takes[strength].jod, own, cross)


def _alike(session: Session, plan: Plan, judge: Judge, strength: str) -> tuple[Floats, Floats]:
    """Return how close each copy is to its original, (N,), and to the closest other photo of its person, (N,)."""
    people = np.array([shot.person for shot in session.shots])
    others = (people[:, None] == people) & ~np.eye(len(people), dtype=bool)
    clean = np.stack([shot.clean[judge.name] for shot in session.shots])
    cloaked = released(session, judge.name, strength, plan.views[0])
    assert cloaked is not None, "it was asked"
    close = np.nan_to_num(closeness(judge.metric, cloaked, clean), nan=-np.inf, neginf=-np.inf)
    return np.diagonal(close), np.where(others, close, -np.inf).max(axis=1)


def _nearest(judges: Sequence[Judge], alike: Sequence[float]) -> Nearest | None:
    """Return the judge that is nearest to a link by how close each finds two photos; None: none finds a face."""
    beyond = [
        Nearest(judge.name, distance(judge.metric, value) / distance(judge.metric, judge.threshold) - 1)
        for judge, near in zip(judges, alike, strict=True)
        if math.isfinite(value := float(near if judge.metric == "cosine" else -near))
    ]
    return min(beyond, key=lambda each: each.beyond, default=None)


def worst_cases(faces: Sequence[FaceFinding], shots: Sequence[Shot], strengths: Sequence[str]) -> list[WorstCase]:
    """Return for each strength the share of photos that any judge links; those that are held are left out."""
    names = [shot.person for shot in shots]
    people = [names.index(name) for name in names]
    cases = []
    for strength in strengths:
        held = {shot.name for shot in shots if shot.takes[strength].held}
        found = {face.photo: face for face in faces if face.strength == strength}
        own, cross = (
            rate([_linked(found[shot.name], which) if shot.name not in held else math.nan for shot in shots], people)
            for which in ("own", "cross")
        )
        cases.append(WorstCase(strength, own, cross))
    return cases


def _linked(face: FaceFinding, which: str) -> float:
    nearest: Nearest | None = getattr(face, which)
    return float(nearest is not None and nearest.beyond <= 0)


def worst_faces(faces: Sequence[FaceFinding], strength: str, number: int) -> list[FaceFinding]:
    """Return the faces of a strength that are nearest to a link to another photo, or else to their own, worst first."""
    return sorted((face for face in faces if face.strength == strength), key=_order)[:number]


def _order(face: FaceFinding) -> tuple[float, float]:
    cross, own = (math.inf if nearest is None else nearest.beyond for nearest in (face.cross, face.own))
    return min(cross, 0.0), own
