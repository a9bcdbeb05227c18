"""What someone who collects photos can do with them: compare two, look one up among many.

Arrays only: `probes` and `gallery` are embeddings (N, D) of the same N photos, one of the two cloaked; `people`, (N,),
says whose each is. A photo is never compared with itself, except where that is what is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from uncnn.plugins.cards import Embeddings
from uncnn.plugins.geometry import Floats

Codes = npt.NDArray[np.intp]
Metric = Literal["cosine", "euclidean"]

FARS: Final = np.logspace(-4, 0, 81)
"""False accept rates at which a curve is drawn, where there are enough pairs for them."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A recogniser that no attack has used: how it compares, and from where on it links two faces."""

    name: str
    metric: Metric
    threshold: float  # in its metric, at the false accept rate that is asked for

    @property
    def least(self) -> float:
        """Return the closeness from which on two faces are linked."""
        return self.threshold if self.metric == "cosine" else -self.threshold


@dataclass(frozen=True, slots=True)
class Curve:
    """The share of one person's pairs that is accepted, by the share of different people's that is."""

    fars: tuple[float, ...]  # rising
    tars: tuple[float, ...]


def closeness(metric: Metric, probes: Embeddings, gallery: Embeddings) -> Floats:
    """Return how close each of `probes` (N, D) is to each of `gallery` (M, D), (N, M), larger is closer.

    Cosine similarity, or the Euclidean distance below zero.
    """
    one, other = probes.astype(np.float64), gallery.astype(np.float64)
    if metric == "cosine":
        alike: Floats = unit(one) @ unit(other).T
        return alike
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    near: Floats = -np.sqrt(np.maximum(squares, 0))
    return near


def unit(embeddings: Floats) -> Floats:
    """Return `embeddings`, (N, D), at length 1."""
    scaled: Floats = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return scaled


def verification(judge: Judge, probes: Embeddings, gallery: Embeddings, people: Codes) -> Floats:
    """Return for each probe the share, (N,), of the other photos of its person that the judge links it to."""
    others = _same_person(people) & ~np.eye(len(people), dtype=bool)
    linked = closeness(judge.metric, probes, gallery) >= judge.least
    shares: Floats = (linked & others).sum(axis=1) / others.sum(axis=1)
    return shares


def own_photo(judge: Judge, probes: Embeddings, originals: Embeddings) -> Floats:
    """Return for each probe, (N,), 1 where the judge links it to its own original, the stricter question, else 0."""
    alike = np.diagonal(closeness(judge.metric, probes, originals))
    return np.asarray(alike >= judge.least, dtype=np.float64)


def identification(
    judge: Judge, probes: Embeddings, gallery: Embeddings, people: Codes, distractors: Embeddings | None
) -> Floats:
    """Return for each probe, (N,), 1 where the closest photo of all others is one of its person (rank 1), else 0.

    `distractors`, (M, D), are photos of other people who stand in the gallery too. Among photos that are equally close,
    the probe's own person is found only if nobody else's is.
    """
    alike = closeness(judge.metric, probes, gallery)
    same = _same_person(people)
    np.fill_diagonal(alike, -np.inf)
    own = np.where(same, alike, -np.inf).max(axis=1)
    foreign = np.where(same, -np.inf, alike).max(axis=1)
    if distractors is not None and len(distractors):
        foreign = np.maximum(foreign, closeness(judge.metric, probes, distractors).max(axis=1))
    return np.asarray(own > foreign, dtype=np.float64)


def curve(
    judge: Judge, probes: Embeddings, gallery: Embeddings, people: Codes, distractors: Embeddings | None
) -> Curve:
    """Return the judge's receiver operating characteristic over all pairs of a probe and another photo."""
    alike = closeness(judge.metric, probes, gallery)
    same = _same_person(people)
    genuine = alike[same & ~np.eye(len(people), dtype=bool)]
    impostors = [alike[~same]]
    if distractors is not None and len(distractors):
        impostors.append(closeness(judge.metric, probes, distractors).ravel())
    falling = -np.sort(-np.concatenate(impostors))
    fars = FARS[FARS * len(falling) >= 1 - 1e-9]
    accepted = np.clip((fars * len(falling) * (1 + 1e-12)).astype(int), 1, len(falling))
    tars = [(genuine >= limit).mean() for limit in falling[accepted - 1]]
    return Curve(tuple(fars.tolist()), tuple(map(float, tars)))


def _same_person(people: Codes) -> npt.NDArray[np.bool_]:
    return np.asarray(people[:, None] == people, dtype=bool)
