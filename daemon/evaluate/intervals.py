"""A rate, and how sure it is: photos of one person are alike, so that people count, not photos.

Wilson's interval with the number of trials that as many independent ones would have: the variance between people says
how many that are. For face verification: Fogliato, Patil and Perona, "Confidence intervals for error rates in 1:1
matching tasks", IJCV 2024, who find that Wilson's interval with such an adjusted size covers where others do not, at
rates near 0 and 1 above all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from uncnn.exporters.calibration.impostors import CONFIDENCE

_Z: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of photos, 0..1, and its 95 % confidence interval."""

    value: float
    low: float
    high: float
    photos: int

    def __str__(self) -> str:
        """Return it in percent, as `12% (4..31)`."""
        if not self.photos:
            return "-"
        return f"{self.value:.0%} ({100 * self.low:.0f}..{100 * self.high:.0f})"

    @property
    def brief(self) -> str:
        """Return it in percent without the interval."""
        return f"{self.value:.0%}" if self.photos else "-"


NOTHING: Final = Rate(0.0, 0.0, 1.0, 0)
"""Of no photo at all."""


def rate(shares: npt.NDArray[np.float64] | Sequence[float], people: npt.NDArray[np.intp] | Sequence[int]) -> Rate:
    """Return the mean of `shares`, (N,) a photo each, 0..1; `people`, (N,), says whose each photo is.

    Shares that are NaN are left out: nothing was asked about these photos. Where that leaves none, nothing is known.
    """
    values = np.asarray(shares, dtype=np.float64)
    asked = ~np.isnan(values)
    values = values[asked]
    if not len(values):
        return NOTHING
    mean, whose = float(values.mean()), np.asarray(people)[asked]
    low, high = wilson(mean, effective_size(values, whose))
    persons = len(np.unique(whose))  # who are sure of no more than if all of their photos said the same
    return Rate(mean, min(low, wilson(1.0, persons)[0]), max(high, wilson(0.0, persons)[1]), len(values))


def effective_size(values: npt.NDArray[np.float64], people: npt.NDArray[np.intp]) -> float:
    """Return how many independent photos say as much as `values` of `people`: between 1 and all of them.

    Where all values are equal they say nothing of the spread between people, and each person counts once.
    """
    mean = values.mean()
    _, codes = np.unique(people, return_inverse=True)
    count = int(codes.max()) + 1
    sums = np.bincount(codes, weights=values - mean)
    variance = (sums**2).sum() / len(values) ** 2 * count / max(count - 1, 1)
    if variance <= 0 or count == 1:
        return float(count)
    return float(np.clip(mean * (1 - mean) / variance, 1, len(values)))


def wilson(share: float, size: float) -> tuple[float, float]:
    """Return Wilson's interval of a share that was found in `size` trials (Wilson, JASA 1927)."""
    middle = (share + _Z**2 / (2 * size)) / (1 + _Z**2 / size)
    half = _Z * (share * (1 - share) / size + _Z**2 / (4 * size**2)) ** 0.5 / (1 + _Z**2 / size)
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)
