"""The fitted curve is the likelihood ratio of the pairs, whatever their shares, and never falls."""

from __future__ import annotations

import numpy as np
import pytest

from uncnn.exporters.calibration.likelihood import fit_curve
from uncnn.plugins.geometry import Floats


def truth(leads: Floats) -> Floats:
    """Return the log likelihood ratio of what `pairs` draws."""
    return -0.5 * ((leads - 0.5) / 0.12) ** 2 - np.log(0.12) + 0.5 * (leads / 0.1) ** 2 + np.log(0.1)


def pairs(genuine: int, impostor: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(0)
    return generator.normal(0.5, 0.12, genuine), generator.normal(0, 0.1, impostor)


@pytest.mark.parametrize("genuine", [1_000, 20_000])
def test_it_is_the_likelihood_ratio_whatever_the_share_of_genuine_pairs(genuine: int):
    curve = fit_curve(*pairs(genuine, 400_000))
    leads = np.array([0.15, 0.2, 0.25, 0.3, 0.35, 0.4])
    np.testing.assert_allclose(curve.at(leads), truth(leads), atol=0.8)


def test_where_one_person_is_further_apart_than_two_a_lead_says_nothing():
    generator = np.random.default_rng(1)
    curve = fit_curve(generator.normal(-0.4, 0.05, 3_000), generator.normal(0, 0.1, 100_000))
    np.testing.assert_allclose(curve.log_ratios, 0, atol=0.01)


def test_what_never_happened_is_not_impossible():
    curve = fit_curve(np.full(100, 0.9) + np.linspace(0, 0.01, 100), np.linspace(-0.2, 0.2, 1_000))
    assert np.isfinite(curve.log_ratios).all()
    assert -8 < curve.log_ratios[0] < 0 < curve.log_ratios[-1] < 10


def test_the_weights_say_how_much_a_pair_counts():
    genuine, impostor = pairs(2_000, 50_000)
    doubled = np.concatenate([genuine, genuine[:1_000]])
    weights = np.concatenate([np.full(1_000, 0.5), np.ones(1_000), np.full(1_000, 0.5)])
    weighted, plain = fit_curve(doubled, impostor, weights), fit_curve(genuine, impostor)
    leads = np.linspace(0.1, 0.6, 20)
    np.testing.assert_allclose(weighted.at(leads), plain.at(leads), atol=0.25)
