"""What could be wrong quietly in `benchmarks/adaptive.py`: thresholds, shares, and where landmarks go."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest

from uncnn.daemon.evaluate.adversaries import Judge


@pytest.fixture
def scores() -> ModuleType:
    return importlib.import_module("adaptive_scores")


@pytest.fixture
def views() -> ModuleType:
    return importlib.import_module("adaptive_views")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_tuned_judge_links_as_many_strangers_as_it_is_allowed(scores: ModuleType, metric: str) -> None:
    random = np.random.default_rng(0)
    probes, strangers = random.normal(size=(40, 8)), random.normal(size=(500, 8))
    judge = scores.tuned(Judge("any", metric, 0.0), probes, strangers, far=0.01)
    alike = scores.closeness(metric, probes, strangers)
    assert (alike >= judge.least).mean() == pytest.approx(0.01)


def test_a_recogniser_is_calibrated_on_pairs_of_two_strangers(scores: ModuleType) -> None:
    strangers = np.random.default_rng(0).normal(size=(200, 8))
    judge = scores.calibrated("own", strangers, far=0.01)
    alike = scores.closeness("cosine", strangers, strangers)[np.triu_indices(200, 1)]
    assert (alike >= judge.least).mean() == pytest.approx(0.01, rel=0.01)


def test_a_row_says_who_is_linked_to_whom(scores: ModuleType) -> None:
    near, far = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    photos = np.array([near, near, far, far])  # two people, the first photo of each is published
    strangers = np.repeat([[0.0, 0.0, 1.0]], 2000, axis=0) + 0.01 * np.eye(3)[np.arange(2000) % 3]
    known = scores.Known(
        (Judge("own", "cosine", 0.5),), np.array([0, 0, 1, 1]), np.array([0, 2]), {"own": photos}, {"own": strangers}
    )
    rates = scores.rates_of(known, {"own": np.array([near, near])})  # the second copy looks like the first person
    assert (rates["own"].value, rates["cross"].value, rates["rank 1"].value) == (0.5, 0.5, 0.5)
    assert rates["cc"].photos == 0
    assert rates["cc, strangers"].value == 1.0
    assert rates["strangers"].value == 0.0


def test_judges_together_are_one_that_sees_what_each_of_them_sees(scores: ModuleType) -> None:
    random = np.random.default_rng(0)
    judges = (Judge("one", "cosine", 0.5), Judge("other", "euclidean", 0.5))
    photos, strangers = ({judge.name: random.normal(size=(size, 4)) for judge in judges} for size in (4, 50))
    known = scores.Known(judges, np.array([0, 0, 1, 1]), np.array([0, 2]), photos, strangers)
    fused, probes = scores.together(known, {name: own[[0, 2]] for name, own in photos.items()})
    alike = scores.closeness("cosine", probes[scores.TOGETHER], fused.photos[scores.TOGETHER])
    parts = [
        scores.closeness(
            "cosine", photos[name] - strangers[name].mean(axis=0), photos[name] - strangers[name].mean(axis=0)
        )[[0, 2]]
        for name in photos
    ]
    assert alike == pytest.approx(np.mean(parts, axis=0), abs=1e-5)


def test_landmarks_move_with_the_photo(views: ModuleType) -> None:
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[10:14, 20:24] = 255
    points = np.tile([21.5, 11.5], (5, 1))  # the middle of the spot
    for name in ("mirrored", "half size", "screenshot at 1.25", "screenshot at 0.8"):
        changed, moved = views.views()[name](photo, points)
        light = changed[..., 0].astype(float)
        middle = [(light * place).sum() / light.sum() for place in np.indices(light.shape)[::-1]]
        assert moved[0] == pytest.approx(middle, abs=0.2), name
