"""LFW's protocol: who is compared with whom, and the share of right answers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import yaml

from uncnn.exporters.calibration.verification import accuracy, best_threshold, draw_pairs
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import Card

CARD = """\
name: some-net
family: any
role: surrogate
input: {height: 112, width: 112, order: RGB, mean: [127.5, 127.5, 127.5], std: [128, 128, 128]}
template: arcface-112
embedding: 16
thresholds: {}
calibrated_on: nothing
sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
licence: {name: MIT, use: permissive}
"""


def card(metric: str) -> Card:
    return Card.model_validate({**yaml.safe_load(CARD), "metric": metric})


def people_with(photos: list[int]) -> list[str]:
    return [f"person {number}" for number, count in enumerate(photos) for _ in range(count)]


def test_folds_are_those_of_lfw(shared_data):
    identities = shared_data / "lfw" / "identities"
    people = [path.parent.name for path in sorted(identities.glob("*/*.jpg"))]
    alone = [path.name for path in sorted((shared_data / "lfw" / "distractors").iterdir())]
    everybody = np.array(people + alone)
    folds = draw_pairs(people + alone)
    assert len(folds) == 10
    seen = [set(everybody[np.concatenate([fold.genuine, fold.impostor]).ravel()]) for fold in folds]
    assert not [a for a in range(10) for b in range(a) if seen[a] & seen[b]], "a person in two folds"
    for fold in folds:
        assert fold.genuine.shape == fold.impostor.shape == (300, 2)
        assert (everybody[fold.genuine[:, 0]] == everybody[fold.genuine[:, 1]]).all()
        assert (everybody[fold.impostor[:, 0]] != everybody[fold.impostor[:, 1]]).all()
        assert (fold.genuine[:, 0] != fold.genuine[:, 1]).all()
        for pairs in (fold.genuine, fold.impostor):
            assert len(np.unique(np.sort(pairs, axis=1), axis=0)) == 300
    impostors = np.concatenate([fold.impostor.ravel() for fold in folds])
    share = (impostors >= len(people)).mean()
    assert abs(share - 1000 / 1211) < 0.03, "people are drawn, not photos"


def test_a_person_with_many_photos_counts_no_more():
    people = people_with([30] * 10 + [25] * 10)  # 435 pairs and 300 pairs of one person
    counts = Counter(people[first] for fold in draw_pairs(people) for first, _ in fold.genuine)
    many, few = (np.mean([counts[f"person {number}"] for number in numbers]) for numbers in (range(10), range(10, 20)))
    assert sum(counts.values()) == 3000
    assert many / few < 1.15  # 1.45 by pairs


def test_the_same_seed_draws_the_same_pairs():
    people = people_with([4] * 40)
    first, again, other = (draw_pairs(people, seed) for seed in (3, 3, 4))
    assert all((a.genuine == b.genuine).all() for a, b in zip(first, again, strict=True))
    assert any((a.impostor != b.impostor).any() for a, b in zip(first, other, strict=True))


def test_a_fold_takes_what_there_is():
    folds = draw_pairs(people_with([3] * 20))
    assert [len(fold.genuine) for fold in folds] == [6] * 10  # two people of three pairs each
    assert [len(fold.impostor) for fold in folds] == [6] * 10


@pytest.mark.parametrize("photos", [[], [1] * 100, [5] * 9 + [1] * 50, [5] * 19])
def test_too_few_people(photos):
    assert draw_pairs(people_with(photos)) == []


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_accuracy_from_chance_to_certainty(metric):
    people = people_with([6] * 60)
    folds, generator = draw_pairs(people), np.random.default_rng(0)
    centres = np.repeat(generator.normal(size=(60, 16)), 6, axis=0)
    noise = generator.normal(size=centres.shape)
    shares = [accuracy(card(metric), (a * centres + noise).astype(np.float32), folds) for a in (0, 1, 5)]
    assert shares[0].value == pytest.approx(0.5, abs=4 * shares[0].error + 0.01)
    assert 0.6 < shares[1].value < 0.99
    assert shares[2].value > 0.999
    assert shares[1].pairs == 2 * sum(len(fold.genuine) for fold in folds)


def test_the_threshold_of_a_fold_comes_from_the_others():
    """Every fold's people have a scale of their own: the best threshold of all would be the best of none."""
    people = people_with([6] * 60)
    folds, generator = draw_pairs(people), np.random.default_rng(0)
    embeddings = generator.normal(size=(60, 16)).repeat(6, axis=0) + 0.3 * generator.normal(size=(360, 16))
    before = accuracy(card("euclidean"), embeddings.astype(np.float32), folds)
    one = np.unique(np.concatenate([folds[0].genuine, folds[0].impostor]))
    embeddings[one] *= 100
    after = accuracy(card("euclidean"), embeddings.astype(np.float32), folds)
    assert before.value > 0.99
    assert after.value == pytest.approx(before.value - 0.05, abs=0.01)  # that fold is right about half of its pairs


def test_the_best_threshold_is_the_best():
    generator = np.random.default_rng(0)
    for size in (1, 2, 5, 40):
        genuine, impostor = generator.normal(1, 1, size), generator.normal(0, 1, size)

        def right(limit: float, genuine: np.ndarray = genuine, impostor: np.ndarray = impostor) -> float:
            return (genuine >= limit).mean() + (impostor < limit).mean()

        found = right(best_threshold(genuine, impostor))
        every = [right(limit) for limit in [*genuine, *impostor, *(impostor + 1e-9), -10, 10]]
        assert found == pytest.approx(max(every))


def test_not_a_number_is_refused():
    folds = draw_pairs(people_with([4] * 20))
    embeddings = np.ones((80, 16), np.float32)
    embeddings[folds[0].genuine[0, 0]] = np.nan
    with pytest.raises(UncnnError, match="some-net: the cosine comparison of face 0 is nan"):
        accuracy(card("cosine"), embeddings, folds)
