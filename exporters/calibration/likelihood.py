"""How many times likelier a lead is for one person than for two: a monotone logistic fit on pairs of known people.

The log-odds of a pair are straight lines between knots and never fall (logistic regression on ramps with coefficients
of at least 0). Fitted odds hold for the share of genuine pairs they were fitted with; that is taken out again, so that
a likelihood ratio remains (Brümmer and du Preez, "Application-independent evaluation of speaker detection", Computer
Speech & Language 2006).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.confidence import Curve, rounded

GENUINE_SHARE: Final = 0.01  # of the weight: where a gallery's decisions lie most impostors are far away
IMPOSTOR_SHARES: Final = (0.5, 0.1, 1e-2, 1e-3, 1e-4)  # of the impostors lie above a knot
GENUINE_SHARES: Final = (0.95, 0.75, 0.5)
BINS: Final = 4000
STEPS: Final = 200
CLOSE_ENOUGH: Final = 1e-10


def fit_curve(genuine: Floats, impostor: Floats, weights: Floats | None = None) -> Curve:
    """Return the log likelihood ratio of a lead, from those of `genuine` (G,) and `impostor` (I,) pairs.

    `weights`, (G,), say how much each genuine pair counts: a person with many photos has many pairs. Beyond all others
    one more pair of either kind is assumed: what never happened is not impossible.
    """
    knots = _knots(genuine, impostor)
    edges = np.linspace(min(genuine.min(), impostor.min(), knots[0]), max(genuine.max(), impostor.max()), BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    own = np.ones(len(genuine)) if weights is None else weights * len(genuine) / weights.sum()
    same = np.histogram(genuine, edges, weights=own)[0]
    other = np.histogram(impostor, edges)[0].astype(float)
    same[0] += 1
    other[-1] += 1
    ramps = np.clip((middles[:, None] - knots[:-1]) / np.diff(knots), 0, 1)
    design = np.concatenate([np.ones((BINS, 1)), ramps], axis=1)
    share = GENUINE_SHARE
    found = _descend(design, share * same / same.sum(), (1 - share) * other / other.sum())
    values = np.cumsum(found) - math.log(share / (1 - share))
    return Curve(leads=tuple(map(rounded, knots)), log_ratios=tuple(map(rounded, values)))


def _knots(genuine: Floats, impostor: Floats) -> Floats:
    """Return where the lines meet: at shares of both kinds of pairs, no two of them nearly at one place."""
    ends = [np.quantile(impostor, 1 - np.array(IMPOSTOR_SHARES)), np.quantile(genuine, 1 - np.array(GENUINE_SHARES))]
    places = np.sort(np.concatenate(ends))
    least = (places[-1] - places[0]) / (4 * len(places))
    kept = [places[0]]
    for place in places[1:]:
        if place - kept[-1] >= least:
            kept.append(place)
    return np.array(kept)


def _descend(design: Floats, same: Floats, other: Floats) -> Floats:
    """Return the coefficients, all but the first at least 0, of weighted logistic regression by projected Newton steps.

    Bertsekas, "Projected Newton methods for optimization problems with simple constraints", SIAM J. Control 1982.
    """
    total = same + other

    def loss(at: Floats) -> float:
        odds = design @ at
        return float(total @ np.logaddexp(0, odds) - same @ odds)

    found = np.zeros(design.shape[1])
    found[0] = math.log(same.sum() / other.sum())
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ found))
        gradient = design.T @ (total * chance - same)
        free = (found > 0) | (gradient < 0)
        free[0] = True
        curvature = (design[:, free] * (total * chance * (1 - chance))[:, None]).T @ design[:, free]
        step = np.zeros_like(found)
        step[free] = np.linalg.solve(curvature + CLOSE_ENOUGH * np.eye(int(free.sum())), gradient[free])
        before, length = loss(found), 1.0
        while length > CLOSE_ENOUGH:
            tried = found - length * step
            tried[1:] = np.maximum(tried[1:], 0)
            if loss(tried) < before:
                break
            length /= 2
        else:
            return found
        if before - loss(tried) < CLOSE_ENOUGH * before:
            return tried
        found = tried
    return found
