"""How alike different people look to a recogniser: thresholds by false accept rate, and how sure they are.

Every pair of faces of different people is an impostor pair: millions of them for a few thousand photos. Only the most
alike are kept, enough for every rate asked for; among these the order statistics are exact.

Pairs that share a person are not independent, so the intervals come from resampling people, not pairs: the vertex
bootstrap (Snijders and Borgatti, "Non-parametric standard errors and tests for network statistics", Connections 1999;
for face verification Fogliato, Patil and Perona, "Confidence intervals for error rates in 1:1 matching tasks", IJCV
2024, which compares it with Bolle, Ratha and Pankanti's subsets bootstrap of 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uncnn.plugins.geometry import Floats

Codes = npt.NDArray[np.intp]

KEPT_SHARE = 0.03  # of all pairs: a resampled set of people hardly ever reaches below it for a rate of 0.01
KEPT_LEAST = 200_000
BLOCK = 256  # faces compared with all others at once
REPLICATES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Impostors:
    """The most alike pairs of different people, most alike first."""

    closeness: Floats  # (K,), falling: cosine similarity, or the Euclidean distance below zero
    first: Codes  # (K,), whose faces they are, as numbers into `faces_of`
    second: Codes
    faces_of: Codes  # (people,), how many faces each person has
    pairs: int  # all of them, kept or not


def compare_all(embeddings: Floats, people: Sequence[str], *, euclidean: bool) -> Impostors:
    """Return the impostor pairs among `embeddings`, (N, D), of unit length where they are compared by cosine.

    Takes memory for a few times the pairs kept and for `BLOCK` faces against all; nothing is kept of the others.
    """
    _, codes, counts = np.unique(np.array(people), return_inverse=True, return_counts=True)
    pairs = int((len(codes) ** 2 - (counts**2).sum()) // 2)
    keep = min(pairs, max(int(KEPT_SHARE * pairs), KEPT_LEAST))
    size = len(codes)
    closeness, places = np.empty(0), np.empty(0, np.intp)
    for start in range(0, size, BLOCK):
        rows = np.arange(start, min(start + BLOCK, size))
        values = _closeness(embeddings, rows, euclidean)
        floor = closeness.min() if len(closeness) >= keep else -np.inf
        wanted = (codes[rows, None] != codes) & (rows[:, None] < np.arange(size)) & (values > floor)
        closeness = np.concatenate([closeness, values[wanted]])
        places = np.concatenate([places, start * size + np.flatnonzero(wanted)])
        if len(closeness) > keep:
            best = np.argpartition(closeness, len(closeness) - keep)[len(closeness) - keep :]
            closeness, places = closeness[best], places[best]
    order = np.argsort(-closeness, kind="stable")
    places = places[order]
    return Impostors(closeness[order], codes[places // size], codes[places % size], counts, pairs)


def threshold(impostors: Impostors, far: float) -> float:
    """Return the closeness above or at which the share `far` of the impostor pairs lies."""
    return float(impostors.closeness[max(_accepted(far, impostors.pairs), 1) - 1])


def intervals(impostors: Impostors, fars: Sequence[float], seed: int = 0) -> list[tuple[float, float]]:
    """Return the 95 % confidence interval of the threshold at each of `fars`, lower end first.

    As many people as there are, drawn with repetition: a pair then weighs as often as both of its people were drawn
    together. The interval is that of the percentiles, widened to the threshold itself where it lies outside.
    """
    generator = np.random.default_rng(seed)
    people = len(impostors.faces_of)
    found = np.empty((REPLICATES, len(fars)))
    for row in found:
        weights = np.bincount(generator.integers(people, size=people), minlength=people)
        faces = weights * impostors.faces_of
        pairs = int((faces.sum() ** 2 - (faces**2).sum()) // 2)
        reached = np.cumsum(weights[impostors.first] * weights[impostors.second])
        places = np.searchsorted(reached, [max(_accepted(far, pairs), 1) for far in fars])
        row[:] = impostors.closeness[np.minimum(places, len(reached) - 1)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail], axis=0)
    exact = [threshold(impostors, far) for far in fars]
    return [(min(a, t), max(b, t)) for a, b, t in zip(low.tolist(), high.tolist(), exact, strict=True)]


def _accepted(far: float, pairs: int) -> int:
    """Return how many of `pairs` a rate of `far` accepts; 0.001 times 5000 is a hair off 5."""
    return int(far * pairs * (1 + 1e-12))


def _closeness(embeddings: Floats, rows: Codes, euclidean: bool) -> Floats:
    """Return how close the faces of `rows` are to all, (rows, N)."""
    products: Floats = embeddings[rows] @ embeddings.T
    if not euclidean:
        return products
    lengths = np.einsum("nd,nd->n", embeddings, embeddings)
    squares = lengths[rows, None] + lengths - 2 * products
    nearest: Floats = -np.sqrt(np.maximum(squares, 0))
    return nearest
