"""The mixture finds groups, and no part of it stands for a few points."""

from __future__ import annotations

import numpy as np

from uncnn.exporters.calibration.mixture import fit_mixture


def test_it_finds_the_groups_and_draws_points_like_those_it_was_fitted_to():
    generator = np.random.default_rng(0)
    groups = np.array([[4.0, 0.0], [-4.0, 0.0], [0.0, 4.0]])[generator.integers(3, size=3000)]
    points = groups + generator.normal(size=groups.shape) * [0.5, 1.0]
    points -= points.mean(axis=0)
    mixture = fit_mixture(points, 3)
    np.testing.assert_allclose(mixture.weights, 1 / 3, atol=0.05)
    drawn = mixture.drawn(20_000, np.random.default_rng(1))
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(points.T), atol=0.5)
    assert (np.abs(drawn[:, 0]) > 3).mean() > 0.5, "a single normal distribution has a third there"


def test_points_that_lie_alone_have_no_part_of_their_own():
    generator = np.random.default_rng(2)
    points = generator.normal(size=(2000, 3))
    points[:3] = (40, 40, 40)
    mixture = fit_mixture(points - points.mean(axis=0), 4)
    alone = points[0] - points.mean(axis=0)
    assert np.linalg.norm(mixture.centres - alone, axis=1).min() > 20


def test_the_same_seed_draws_the_same():
    points = np.random.default_rng(3).normal(size=(500, 2))
    mixture = fit_mixture(points, 2)
    one, again = (mixture.drawn(10, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, again)
