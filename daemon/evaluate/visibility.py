"""How visible a strength is, over all photos and over those of each size of face, and what it takes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from uncnn.daemon.evaluate.adversaries import closeness
from uncnn.daemon.evaluate.plan import UNCLOAKED, Plan
from uncnn.daemon.evaluate.sizes import ALL, members
from uncnn.daemon.evaluate.values import Session, Shot, Take
from uncnn.daemon.verify.jod import Jod, Visibility

LIKENESS: Final = "uncnn-likeness"
"""A recogniser that sees faces about as people do: it tells whether a copy still looks like its original."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The mean over the photos, and the photo that is worst."""

    mean: float
    worst: float


@dataclass(frozen=True, slots=True)
class StrengthSummary:
    """How visible one strength is, and what it takes, over the photos with faces of one size."""

    strength: str
    mean: Visibility | None  # None: no face is large enough for the metrics
    worst_tenth: float | None  # of SSIMULACRA2: a tenth of the faces is below
    seconds: float  # a face, without finding it; as installed: all of it
    found_again: float  # share of the faces that the detector finds on the published bytes
    size: str = ALL
    photos: int = 0  # published
    held: int = 0  # not published, and left out of all else here
    jod: Jod | None = None  # the mean of each; None: nothing was published
    worst_jod: Jod | None = None
    likeness: Summary | None = None  # cosine of copy and original to the robust recogniser; None: there is none
    age: Summary | None = None  # years that the copy looks older than the original; None: nobody estimates it


def summaries_of(session: Session, plan: Plan) -> Iterator[StrengthSummary]:
    """Yield the summary of each strength, over all photos first, then over each size of face."""
    for strength in (UNCLOAKED, *plan.strengths):
        for size, inside in members(shot.face_px for shot in session.shots).items():
            yield _summary([shot for shot, wanted in zip(session.shots, inside, strict=True) if wanted], strength, size)


def likeness(shot: Shot, take: Take) -> float | None:
    """Return how like the original the copy is to the robust recogniser, a cosine; None: it was not asked."""
    views = take.embeddings.get(LIKENESS)
    if not views or LIKENESS not in shot.clean:
        return None
    copy = views.get("as-is", next(iter(views.values())))
    return float(closeness("cosine", copy[None], shot.clean[LIKENESS][None])[0, 0])


def _summary(shots: Sequence[Shot], strength: str, size: str) -> StrengthSummary:
    pairs = [(shot, shot.takes[strength]) for shot in shots if not shot.takes[strength].held]
    takes = [take for _, take in pairs]
    seen = [take.visibility for take in takes if take.visibility is not None]
    metric = [one.ssimulacra2 for one in seen if one.ssimulacra2 is not None]
    shown = [take.jod for take in takes]
    alike = [value for shot, take in pairs if (value := likeness(shot, take)) is not None]
    older = [take.age - shot.age for shot, take in pairs if take.age is not None and shot.age is not None]
    return StrengthSummary(
        strength,
        _mean(seen),
        float(np.percentile(metric, 10)) if metric else None,
        statistics.fmean(take.seconds for take in takes) if takes else 0.0,
        statistics.fmean(take.found_again for take in takes) if takes else 0.0,
        size,
        len(takes),
        len(shots) - len(takes),
        _over(shown, statistics.fmean),
        _over(shown, min),
        Summary(statistics.fmean(alike), min(alike)) if alike else None,
        Summary(statistics.fmean(older), max(older, key=abs)) if older else None,
    )


def _over(shown: Sequence[Jod], of: Callable[[list[float]], float]) -> Jod | None:
    """Return the mean or the worst of each display; of the zoom over the faces that it is known of."""
    if not shown:
        return None
    zoom = [each.zoom for each in shown if each.zoom is not None]
    return Jod(of([each.phone for each in shown]), of([each.desktop for each in shown]), of(zoom) if zoom else None)


def _mean(seen: Sequence[Visibility]) -> Visibility | None:
    """Return the mean of each metric over the faces that it says something of."""
    if not seen:
        return None
    known = {
        name: [value for one in seen if (value := getattr(one, name)) is not None]
        for name in Visibility.__dataclass_fields__
    }
    means: Mapping[str, float | None] = {name: statistics.fmean(own) if own else None for name, own in known.items()}
    return Visibility(**means)  # type: ignore[arg-type] # those that are never None stay so
