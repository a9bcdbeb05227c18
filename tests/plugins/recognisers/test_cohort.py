"""A lead is a closeness beyond the level of a face, and a template gives each photo its weight."""

from __future__ import annotations

import numpy as np
import pytest

from uncnn.plugins.recognisers.cohort import Cohort, closeness, template


@pytest.mark.parametrize("euclidean", [False, True])
def test_a_lead_is_the_closeness_less_that_to_the_nearest_of_the_cohort(euclidean: bool):
    generator = np.random.default_rng(1)
    faces, others, people = (generator.normal(size=(number, 16)) for number in (7, 100, 9))
    cohort = Cohort(others, euclidean)
    near = closeness(faces, people, euclidean=euclidean)
    level = np.sort(closeness(faces, others, euclidean=euclidean), axis=1)[:, -20:].mean(axis=1)
    np.testing.assert_allclose(cohort.leads(faces, people), near - level[:, None])
    one = faces[2] - people[3] if euclidean else faces[2] @ people[3]
    expected = -np.linalg.norm(one) if euclidean else one / np.linalg.norm(faces[2]) / np.linalg.norm(people[3])
    assert near[2, 3] == pytest.approx(expected)


def test_a_template_by_cosine_gives_each_photo_the_same_weight():
    photos = np.array([[10.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(template(photos, euclidean=False), [0.5, 0.5])
    np.testing.assert_allclose(template(photos, euclidean=True), [5.0, 0.5])
