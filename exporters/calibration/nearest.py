"""How close the nearest of many other people comes: the tail that false names are made of.

Peaks over a threshold follow a generalised Pareto distribution (Pickands, Annals of Statistics 1975); it is fitted by
probability-weighted moments (Hosking and Wallis, Technometrics 1987). It is fitted to the nearest of a gallery, not to
single pairs: those of one face are no independent trials, since a face that resembles one stranger resembles others, so
that pairs alone promise more false names than there are.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cohort import closeness
from uncnn.plugins.recognisers.confidence import Tail, rounded

GALLERY: Final = 1000
SHARE: Final = 0.3  # of the faces, those whose nearest is closest, are fitted
RANKS: Final = 16  # that may be the nearest in a gallery drawn from all


def fit_nearest(embeddings: Floats, levels: Floats, *, euclidean: bool, same: float) -> Tail | None:
    """Return the tail of the lead of the nearest of `GALLERY` people who are somebody else; None: there are too few.

    `embeddings`, (N, D), are one each of N people, and `levels`, (N,), theirs, to strangers drawn from others' faces.
    Pairs above the closeness `same` are taken for one person under two names and left out: in every collection there
    are some.
    """
    if len(embeddings) < 2 * GALLERY:
        return None
    values, weights = nearest(embeddings, levels, euclidean=euclidean, same=same)
    order = np.argsort(-values)
    values, weights = values[order], weights[order] / weights.sum()
    beyond = int(np.searchsorted(np.cumsum(weights), SHARE))
    start = values[beyond]
    excess, weight = (values[:beyond] - start)[::-1], weights[:beyond][::-1] / weights[:beyond].sum()
    survival = 1 - (np.cumsum(weight) - weight / 2)
    mean, weighted = float(weight @ excess), float(weight @ (excess * survival))
    shape = 2 - mean / (mean - 2 * weighted)
    scale = 2 * mean * weighted / (mean - 2 * weighted)
    return Tail(gallery=GALLERY, share=SHARE, start=rounded(start), scale=rounded(scale), shape=rounded(shape))


def nearest(embeddings: Floats, levels: Floats, *, euclidean: bool, same: float) -> tuple[Floats, Floats]:
    """Return leads and how often each is that of the nearest in a random gallery: both (N * RANKS,), the latter sum 1.

    Of N - 1 others each is in a gallery with the chance p = GALLERY / (N - 1), so that the j-th nearest is the nearest
    there with p (1 - p)^(j - 1): all galleries at once, and none is drawn.
    """
    size = len(embeddings)
    share = min(GALLERY / (size - 1), 1.0)
    chances = share * (1 - share) ** np.arange(RANKS)
    rows = []
    for row in range(size):
        near = closeness(embeddings[row : row + 1], embeddings, euclidean=euclidean)[0]
        near[(near > same) | (np.arange(size) == row)] = -np.inf
        rows.append(-np.sort(np.partition(-near, RANKS)[:RANKS]) - levels[row])
    return np.concatenate(rows), np.tile(chances, size) / (size * chances.sum())
