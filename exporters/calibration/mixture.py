"""A mixture of normal distributions without correlations, fitted by expectation and maximisation.

Dempster, Laird and Rubin, Journal of the Royal Statistical Society B 1977. Centres and spreads are drawn to those of
all points: no part of it comes to stand for a few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from uncnn.plugins.geometry import Floats

ROUNDS: Final = 60
TO_CENTRE: Final = 5.0  # points at the common centre, added to every part
TO_SPREAD: Final = 20.0  # points with the common spread
LEAST_SHARE: Final = 0.05  # of the variance of all points, in each direction
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Mixture:
    """Parts with a weight each."""

    weights: Floats  # (K,), sum 1
    centres: Floats  # (K, R)
    spreads: Floats  # (K, R), standard deviations

    def drawn(self, number: int, generator: np.random.Generator) -> Floats:
        """Return so many points, (number, R)."""
        bounds = np.cumsum(self.weights / self.weights.sum())
        parts = np.minimum(np.searchsorted(bounds, generator.random(number)), len(bounds) - 1)
        points: Floats = self.centres[parts] + self.spreads[parts] * generator.standard_normal(
            (number, self.centres.shape[1])
        )
        return points


def fit_mixture(points: Floats, parts: int) -> Mixture:
    """Return the mixture of so many parts for `points`, (N, R), whose mean is zero."""
    spread = points.var(axis=0)
    centres = _first_centres(points, parts)
    variances, weights = np.tile(spread, (parts, 1)), np.full(parts, 1 / parts)
    for _ in range(ROUNDS):
        shares = _shares(points, weights, centres, variances)
        counts = shares.sum(axis=0)
        weights = (counts + 1) / (counts + 1).sum()
        centres = shares.T @ points / (counts + TO_CENTRE)[:, None]
        squares = np.stack([shares[:, part] @ (points - centres[part]) ** 2 for part in range(parts)])
        common = squares.sum(axis=0) / len(points)
        variances = np.maximum((squares + TO_SPREAD * common) / (counts + TO_SPREAD)[:, None], LEAST_SHARE * spread)
    return Mixture(weights, centres, np.sqrt(variances))


def _first_centres(points: Floats, parts: int) -> Floats:
    """Return points far from each other (k-means++; Arthur and Vassilvitskii, SODA 2007)."""
    generator = np.random.default_rng(SEED)
    centres = [points[generator.integers(len(points))]]
    for _ in range(parts - 1):
        squares = np.min([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=0)
        centres.append(points[generator.choice(len(points), p=squares / squares.sum())])
    return np.stack(centres)


def _shares(points: Floats, weights: Floats, centres: Floats, variances: Floats) -> Floats:
    """Return how much of each point, (N, K), is each part's."""
    logs = np.stack(
        [
            np.log(weight) - 0.5 * (((points - centre) ** 2 / variance).sum(axis=1) + np.log(variance).sum())
            for weight, centre, variance in zip(weights, centres, variances, strict=True)
        ],
        axis=1,
    )
    likely = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: Floats = likely / likely.sum(axis=1, keepdims=True)
    return shares
