"""Strangers that nobody photographed: embeddings drawn from a model of real ones, for galleries of many thousands.

The model is a Gaussian with the mean and the covariance of the embeddings of the distractors, unit where the judge
compares cosines: a stranger is the mean and a random sum of how far each real one is from it. The covariance is not
shrunk, though there are fewer rows than it has numbers: that would take the spread from the directions in which people
differ most, and with them the strangers who are close. A Gaussian has no look-alikes still: `closest` says how far that
goes.
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
    faces = _comparable(judge, real).astype(np.float32)
    mean = faces.mean(axis=0)
    apart = (faces - mean) / np.float32(np.sqrt(len(faces)))
    random = np.random.default_rng(seed)
    for first in range(0, number, AT_ONCE):
        weights = random.standard_normal((min(AT_ONCE, number - first), len(faces)), dtype=np.float32)
        yield weights @ apart + mean


def closest(judge: Judge, probes: Embeddings, real: Embeddings) -> tuple[float, float]:
    """Return how close the closest of half of the real strangers is to each probe, and of as many synthetic ones.

    Means over `probes`, (N, D), as `closeness`; the synthetic ones are drawn from a model of the other half.
    """
    half = len(real) // 2
    synthetic = np.concatenate(list(drawn(judge, real[half:], half)))
    asked = probes[~np.isnan(probes).any(axis=1) & probes.any(axis=1)]
    one, other = (closeness(judge.metric, asked, gallery).max(axis=1) for gallery in (real[:half], synthetic))
    return float(one.mean()), float(other.mean())


def _comparable(judge: Judge, embeddings: Embeddings) -> Floats:
    """Return embeddings as the judge compares them, (M, D), without those of photos on which it finds no face."""
    found = embeddings[embeddings.any(axis=1)].astype(np.float64)
    return unit(found) if judge.metric == "cosine" else found
