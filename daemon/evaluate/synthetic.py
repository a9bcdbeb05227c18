"""Strangers that nobody photographed: embeddings drawn from a model of real ones, for galleries of many thousands.

The model is a Gaussian with the mean and the covariance of the embeddings of the distractors, unit where the judge
compares cosines. There are fewer of these than the covariance has numbers, so it is shrunk toward a multiple of the
identity: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
Multivariate Analysis 88(2), 2004. What it leaves out is said in figures: `closest` compares with real strangers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from uncnn.daemon.evaluate.adversaries import Judge, closeness, unit
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings

LEAST: Final = 100
"""Real distractors that a model needs."""

AT_ONCE: Final = 10_000  # drawn: bounds memory


def drawn(judge: Judge, real: Embeddings, number: int, seed: int = 0) -> Iterator[Embeddings]:
    """Yield so many synthetic strangers, (up to AT_ONCE, D) at a time; `real`, (M, D), are distractors."""
    faces = _comparable(judge, real)
    mean = faces.mean(axis=0)
    factor = np.linalg.cholesky(shrunk(faces - mean)).T.astype(np.float32)
    random = np.random.default_rng(seed)
    for first in range(0, number, AT_ONCE):
        noise = random.standard_normal((min(AT_ONCE, number - first), len(mean)), dtype=np.float32)
        yield noise @ factor + mean.astype(np.float32)


def shrunk(centred: Floats) -> Floats:
    """Return the covariance, (D, D), of `centred` rows (M, D), as much shrunk as Ledoit and Wolf find best."""
    count, length = centred.shape
    sample: Floats = centred.T @ centred / count
    level = np.trace(sample) / length
    spread = ((sample - level * np.eye(length)) ** 2).sum()  # d^2 of the paper, times D
    noise = (((centred**2).sum(axis=1) ** 2).sum() / count - (sample**2).sum()) / count  # b^2
    weight = min(max(noise / spread, 0.0), 1.0) if spread > 0 else 1.0
    covariance: Floats = (1 - weight) * sample + (weight * level + 1e-9) * np.eye(length)
    return covariance


def closest(judge: Judge, probes: Embeddings, real: Embeddings) -> tuple[float, float]:
    """Return how close the closest of half of the real strangers is to each probe, and of as many synthetic ones.

    Means over `probes`, (N, D), as `closeness`; the synthetic ones are drawn from a model of the other half.
    """
    half = len(real) // 2
    (synthetic,) = (np.concatenate(list(drawn(judge, real[half:], half))),)
    asked = probes[~np.isnan(probes).any(axis=1) & probes.any(axis=1)]
    one, other = (closeness(judge.metric, asked, gallery).max(axis=1) for gallery in (real[:half], synthetic))
    return float(one.mean()), float(other.mean())


def _comparable(judge: Judge, embeddings: Embeddings) -> Floats:
    """Return embeddings as the judge compares them, (M, D), without those of photos on which it finds no face."""
    found = embeddings[embeddings.any(axis=1)].astype(np.float64)
    return unit(found) if judge.metric == "cosine" else found
