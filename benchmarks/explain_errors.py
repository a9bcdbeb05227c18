"""How far chances and what is so lie apart, and how sure that is: for `explain.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from uncnn.plugins.geometry import Floats

BINS: Final = 10
REPLICATES: Final = 300

Trial = tuple[int, Floats, Floats, Floats, Floats]
"""Whose, and of each face: the highest chance, whether that answer is right, that of the first name, whether it is."""


def words_of(trials: Sequence[Trial]) -> tuple[str, str, str]:
    """Return the calibration errors of the answer and of the first name with intervals, and the share of right ones."""
    parts = [np.concatenate([trial[place] for trial in trials]).astype(float) for place in range(1, 5)]
    people = np.concatenate([np.full(len(trial[1]), trial[0]) for trial in trials])
    generator = np.random.default_rng(0)
    count = people.max() + 1
    drawn = [np.bincount(generator.integers(count, size=count), minlength=count)[people] for _ in range(REPLICATES)]
    said = []
    for chance, right in ((parts[0], parts[1]), (parts[2], parts[3])):
        low, high = np.quantile([expected_error(chance, right, weights) for weights in drawn], [0.025, 0.975])
        error = expected_error(chance, right, np.ones(len(right)))
        said.append(f"{error:.3f} [{low:.3f}, {high:.3f}] ({by_chance(chance):.3f})")
    return said[0], said[1], f"{parts[1].mean():.1%}"


def by_chance(chance: Floats) -> float:
    """Return the error that perfect chances would show on so few faces."""
    generator = np.random.default_rng(0)
    draws = [(generator.random(len(chance)) < chance).astype(float) for _ in range(REPLICATES)]
    return float(np.mean([expected_error(chance, right, np.ones(len(chance))) for right in draws]))


def expected_error(chance: Floats, right: Floats, weights: Floats) -> float:
    """Return the expected calibration error in ten bins (Guo et al., ICML 2017)."""
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights * (chance - right), BINS)
    return float(np.abs(gaps).sum() / max(weights.sum(), 1e-9))
