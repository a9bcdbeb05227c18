"""The tail of the nearest of a thousand: as many strangers are named as were promised."""

from __future__ import annotations

import numpy as np
import pytest

from uncnn.exporters.calibration.nearest import GALLERY, fit_nearest, nearest
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cohort import closeness

NOBODY_TWICE = 2.0


def people(seed: int, number: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(number, 24))


@pytest.mark.parametrize("euclidean", [False, True])
def test_as_many_strangers_are_named_as_was_promised(euclidean: bool):
    fitted, others, strangers = people(0, 2 * GALLERY), people(1, GALLERY), people(2, 3000)
    tail = fit_nearest(fitted, np.zeros(len(fitted)), euclidean=euclidean, same=NOBODY_TWICE)
    assert tail is not None
    near = closeness(strangers, others, euclidean=euclidean).max(axis=1)
    for rate in (0.05, 0.1):
        assert (near >= tail.threshold(rate, GALLERY)).mean() == pytest.approx(rate, rel=0.25)


def test_a_level_moves_the_tail():
    fitted = people(0, 2 * GALLERY)
    plain, moved = (
        fit_nearest(fitted, np.full(len(fitted), level), euclidean=False, same=NOBODY_TWICE) for level in (0.0, 0.125)
    )
    assert plain is not None
    assert moved is not None
    assert moved.start == pytest.approx(plain.start - 0.125, abs=1e-3)
    assert moved.scale == pytest.approx(plain.scale, abs=1e-4)


def test_every_gallery_counts_as_often_as_it_is_drawn():
    faces = people(3, 1200)
    values, weights = nearest(faces, np.zeros(len(faces)), euclidean=False, same=NOBODY_TWICE)
    assert weights.sum() == pytest.approx(1)
    generator, found = np.random.default_rng(4), []
    for _ in range(40):
        chosen = generator.permutation(len(faces))
        found.append(closeness(faces[chosen[GALLERY:]], faces[chosen[:GALLERY]], euclidean=False).max(axis=1))
    for limit in np.quantile(np.concatenate(found), [0.5, 0.9]):
        assert weights[values >= limit].sum() == pytest.approx((np.concatenate(found) >= limit).mean(), rel=0.1)


def test_one_person_under_two_names_is_left_out():
    faces = people(5, 2 * GALLERY)
    faces[1] = faces[0]
    values, _ = nearest(faces, np.zeros(len(faces)), euclidean=False, same=0.99)
    assert values.max() < 0.99


def test_too_few_people_have_no_tail():
    faces = people(6, GALLERY)
    assert fit_nearest(faces, np.zeros(len(faces)), euclidean=False, same=NOBODY_TWICE) is None
