"""What someone who collects photos can do with them: compare two, look one up among many.

Arrays only: `probes` and `gallery` are embeddings (N, D) of the same N photos, one of the two cloaked; `people`, (N,),
says whose each is. A photo is never compared with itself, except where that is what is asked.

A row of zeros is a photo on which the judge finds no face: it is like nothing. A row of NaN is a photo that there is
not, so that nothing is asked about it: shares of such probes are NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings

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
    outside: bool = False  # it has no part in any verdict

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

    Cosine similarity, or the Euclidean distance below zero; -inf where a face was not found, NaN where there is none.
    """
    one, other = probes.astype(np.float64), gallery.astype(np.float64)
    alike: Floats
    if metric == "cosine":
        alike = unit(one) @ unit(other).T
    else:
        alike = -np.sqrt(np.maximum((one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T, 0))
    unseen = ~np.any(one, axis=1, keepdims=True) | ~np.any(other, axis=1, keepdims=True).T
    alike[unseen & ~np.isnan(alike)] = -np.inf
    return alike


def threshold_of(metric: Metric, strangers: Embeddings, people: Codes, far: float) -> float:
    """Return from which cosine on, or up to which distance, the share `far` of the pairs of two people is linked.

    `strangers` are embeddings (M, D), `people` (M,) says whose each is.
    """
    rows, columns = np.triu_indices(len(strangers), 1)
    pairs = closeness(metric, strangers, strangers)[rows, columns][people[rows] != people[columns]]
    least = float(np.quantile(pairs, 1 - far))
    return least if metric == "cosine" else -least


def unit(embeddings: Floats) -> Floats:
    """Return `embeddings`, (N, D), at length 1; zeros stay so."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    scaled: Floats = embeddings / np.where(lengths == 0, 1, lengths)
    return scaled


def verification(judge: Judge, probes: Embeddings, gallery: Embeddings, people: Codes) -> Floats:
    """Return for each probe the share, (N,), of the other photos of its person that the judge links it to.

    With cloaked photos on both sides: how far cloaks give each other away.
    """
    alike = closeness(judge.metric, probes, gallery)
    others = _others(people) & ~np.isnan(alike)
    return _share((alike >= judge.least) & others, others)


def strangers_linked(judge: Judge, photos: Embeddings, people: Codes) -> Floats:
    """Return for each photo the share, (N,), of other people's among `photos` that the judge wrongly links it to.

    The control of `verification` of cloaked photos with each other: at a threshold of clean photos it may be far from
    the FAR that this has.
    """
    alike = closeness(judge.metric, photos, photos)
    others = (people[:, None] != people) & ~np.isnan(alike)
    return _share((alike >= judge.least) & others, others)


def own_photo(judge: Judge, probes: Embeddings, originals: Embeddings) -> Floats:
    """Return for each probe, (N,), 1 where the judge links it to its own original, the stricter question, else 0."""
    alike = np.diagonal(closeness(judge.metric, probes, originals))
    return np.where(np.isnan(alike), np.nan, alike >= judge.least)


def identification(
    judge: Judge,
    probes: Embeddings,
    gallery: Embeddings,
    people: Codes,
    distractors: Embeddings | None,
    rank: int = 1,
) -> Floats:
    """Return for each probe, (N,), 1 where one of its person is among the `rank` closest photos of all others, else 0.

    `distractors`, (M, D), are photos of other people who stand in the gallery too. Among photos that are equally close,
    the probe's own person comes last.
    """
    strangers = [] if distractors is None else [distractors]
    return within(ahead(judge, probes, gallery, people, strangers), rank)


def ahead(
    judge: Judge, probes: Embeddings, gallery: Embeddings, people: Codes, strangers: Iterable[Embeddings]
) -> Floats:
    """Return how many photos of others, (N,), are at least as close to each probe as the closest one of its person.

    `strangers`, (M, D) each, stand in the gallery too. Infinite where the judge finds no face; NaN: it was not asked.
    """
    alike = closeness(judge.metric, probes, gallery)
    others = _others(people) & ~np.isnan(alike)
    own = np.where(others, alike, -np.inf).max(axis=1)
    foreign = np.where(_same_person(people) | np.isnan(alike), -np.inf, alike)
    before = (foreign >= own[:, None]).sum(axis=1)
    for some in strangers:
        if len(some):
            before += (closeness(judge.metric, probes, some) >= own[:, None]).sum(axis=1)
    return np.where(others.any(axis=1), np.where(own > -np.inf, before, np.inf), np.nan)


def within(before: Floats, rank: int) -> Floats:
    """Return 1 where fewer than `rank` are `ahead`, (N,), else 0; NaN stays."""
    return np.where(np.isnan(before), np.nan, before < rank)


def curve(
    judge: Judge, probes: Embeddings, gallery: Embeddings, people: Codes, distractors: Embeddings | None
) -> Curve:
    """Return the judge's receiver operating characteristic over all pairs of a probe and another photo."""
    alike = closeness(judge.metric, probes, gallery)
    genuine = alike[_others(people) & ~np.isnan(alike)]
    impostors = [alike[~_same_person(people)]]
    if distractors is not None and len(distractors):
        impostors.append(closeness(judge.metric, probes, distractors).ravel())
    every = np.concatenate(impostors)
    falling = -np.sort(-every[~np.isnan(every)])
    fars = FARS[FARS * len(falling) >= 1 - 1e-9]
    accepted = np.clip((fars * len(falling) * (1 + 1e-12)).astype(int), 1, len(falling))
    tars = [(genuine >= limit).mean() for limit in falling[accepted - 1]]
    return Curve(tuple(fars.tolist()), tuple(map(float, tars)))


def _same_person(people: Codes) -> npt.NDArray[np.bool_]:
    return np.asarray(people[:, None] == people, dtype=bool)


def _others(people: Codes) -> npt.NDArray[np.bool_]:
    """Return which photos, (N, N), are of one person without being one photo."""
    return _same_person(people) & ~np.eye(len(people), dtype=bool)


def _share(linked: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> Floats:
    """Return the share, (N,), of each row's pairs that is linked; NaN where there is no pair."""
    count = of.sum(axis=1)
    return np.where(count == 0, np.nan, linked.sum(axis=1) / np.maximum(count, 1))
