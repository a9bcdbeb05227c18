"""Impostor pairs: the thresholds are the order statistics of all of them, and the intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from uncnn.exporters.calibration import impostors
from uncnn.exporters.calibration.impostors import compare_all, intervals, threshold
from uncnn.plugins.geometry import Floats


def drawn(seed: int, people: int, photos: int) -> tuple[Floats, list[str]]:
    """Return unit embeddings, (people * photos, 8), of people of whom some are more like everybody than others."""
    generator = np.random.default_rng(seed)
    centres = np.repeat(1 + generator.normal(size=(people, 8)), photos, axis=0)
    embeddings = centres + 0.5 * generator.normal(size=centres.shape)
    names = [f"person {number}" for number in np.repeat(np.arange(people), photos)]
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), names


def every_pair(embeddings: Floats, people: list[str], euclidean: bool) -> Floats:
    """Return the closeness of all pairs of different people, most alike first, one pair at a time."""
    values = []
    for i, one in enumerate(embeddings):
        others = [j for j in range(i) if people[j] != people[i]]
        apart = embeddings[others] - one
        values.append(-np.linalg.norm(apart, axis=1) if euclidean else embeddings[others] @ one)
    return np.sort(np.concatenate(values))[::-1]


@pytest.mark.parametrize("euclidean", [False, True])
@pytest.mark.parametrize(("people", "photos", "kept"), [(30, 3, 200_000), (300, 3, 12_000), (7, 100, 7_350)])
def test_thresholds_are_exact(monkeypatch, euclidean, people, photos, kept):
    monkeypatch.setattr(impostors, "KEPT_LEAST", kept)  # fewer than there are, in blocks of 256 faces
    embeddings, names = drawn(1, people, photos)
    found = compare_all(embeddings, names, euclidean=euclidean)
    expected = every_pair(embeddings, names, euclidean)
    assert found.pairs == len(expected) == photos**2 * people * (people - 1) // 2
    assert len(found.closeness) == min(found.pairs, max(kept, int(0.03 * found.pairs)))
    np.testing.assert_allclose(found.closeness, expected[: len(found.closeness)], rtol=0, atol=1e-7)
    for far in (1e-2, 1e-3, 0.1**3):
        limit = threshold(found, far)
        assert (expected >= limit - 1e-7).sum() == max(round(far * found.pairs - 0.5), 1)


def test_who_is_compared_is_known():
    embeddings, names = drawn(2, 20, 4)
    found = compare_all(embeddings, names, euclidean=False)
    assert (found.first != found.second).all()
    np.testing.assert_array_equal(found.faces_of, np.full(20, 4))
    assert len(np.unique(np.stack([found.first, found.second]), axis=1).T) == 20 * 19 / 2


def test_a_person_with_many_photos_is_never_an_impostor():
    embeddings, names = drawn(3, 2, 50)
    embeddings[:50] = embeddings[0]  # one and the same face, fifty times
    found = compare_all(embeddings, names, euclidean=False)
    assert found.pairs == 2500
    assert found.closeness[0] < 1 - 1e-9


def test_intervals_hold_the_truth_where_independent_pairs_would_not(monkeypatch):
    monkeypatch.setattr(impostors, "REPLICATES", 200)
    rates = (1e-2, 1e-3)
    crowd = compare_all(*drawn(0, 3000, 1), euclidean=False)
    truth = [threshold(crowd, far) for far in rates]
    held, naive, trials = np.zeros(2), 0, 60
    for trial in range(trials):
        found = compare_all(*drawn(1000 + trial, 40, 4), euclidean=False)
        held += [low <= true <= high for (low, high), true in zip(intervals(found, rates), truth, strict=True)]
        spread = 1.96 * (1e-2 * found.pairs) ** 0.5  # of a count of independent pairs
        low, high = (int(1e-2 * found.pairs + side * spread) for side in (-1, 1))
        naive += bool(found.closeness[high] <= truth[0] <= found.closeness[low])
    assert (held / trials >= 0.88).all(), held / trials
    assert naive / trials < 0.7


def test_intervals_hold_the_threshold_and_narrow_with_people():
    few, many = (compare_all(*drawn(5, people, 2), euclidean=True) for people in (30, 500))
    widths = []
    for found in (few, many):
        ((low, high),) = intervals(found, [1e-2])
        assert low <= threshold(found, 1e-2) <= high
        assert intervals(found, [1e-2]) == [(low, high)]  # the same every time
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
