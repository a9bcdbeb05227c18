"""Strangers: the same ones each time, nobody's face among them, as far from people as people are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uncnn.exporters.calibration import strangers
from uncnn.exporters.calibration.strangers import (
    FILE,
    NUMBER,
    StrangersError,
    held_out_levels,
    matched,
    read_statistics,
    statistics_of,
    unpacked,
)
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import read_card
from uncnn.plugins.recognisers.cohort import Cohort, closeness

SHIPPED = sorted(path.parent.name for path in EMBEDDED.glob("*/card.yaml"))


def people(seed: int, number: int) -> Floats:
    """Return embeddings, (number, 96), of people in four groups."""
    generator = np.random.default_rng(seed)
    groups = np.random.default_rng(99).normal(size=(4, 96)) * 0.6
    return groups[generator.integers(4, size=number)] + generator.normal(size=(number, 96))


@pytest.mark.parametrize("euclidean", [False, True])
def test_they_are_as_near_to_faces_as_people_are(euclidean: bool):
    known, faces, others = people(0, 1500), people(1, 400), people(2, 1000)
    content = statistics_of(known, euclidean=euclidean).packed()
    said = matched(content, people(3, 400), known, euclidean=euclidean)
    cohort = Cohort(unpacked(content).drawn(strangers.COHORT_SEED), euclidean)
    drawn = said.as_real(cohort.leads(faces, unpacked(content).drawn()))
    real = cohort.leads(faces, others)
    for share in (0.1, 0.01, 0.001):
        assert (drawn >= np.quantile(real, 1 - share)).mean() == pytest.approx(share, rel=0.3)


def test_the_same_ones_come_of_the_same_file_and_others_judge_them():
    content = statistics_of(people(0, 1200), euclidean=False).packed()
    one, again = unpacked(content).drawn(), unpacked(content).drawn()
    np.testing.assert_array_equal(one, again)
    cohort = unpacked(content).drawn(strangers.COHORT_SEED)
    assert one.shape == cohort.shape == (NUMBER, 96)
    assert closeness(one, cohort, euclidean=False).max() < 0.9


def test_too_few_people_make_no_strangers():
    with pytest.raises(StrangersError, match="999 people are too few"):
        statistics_of(people(0, 999), euclidean=False)


def test_who_helped_to_make_a_cohort_is_not_judged_by_it():
    known, others = people(0, 1300), people(1, 1300)
    cohort = Cohort(statistics_of(known, euclidean=False).drawn(strangers.COHORT_SEED), False)
    held_out, unknown = held_out_levels(known, euclidean=False), cohort.levels(others)
    assert abs(held_out.mean() - unknown.mean()) < abs(cohort.levels(known).mean() - unknown.mean())


@pytest.mark.parametrize("name", SHIPPED)
def test_those_that_ship_are_small_and_nearest_to_nobody(name: str):
    card = read_card(EMBEDDED / name)
    assert (EMBEDDED / name / FILE).stat().st_size <= 100_000
    statistics = read_statistics(EMBEDDED / name, card)
    assert statistics is not None
    drawn = statistics.drawn()
    assert drawn.shape == (NUMBER, card.embedding)
    assert np.isfinite(drawn).all()
    assert statistics.along.weights.min() > 0.01, "a part for a hundredth of thousands of people"


@pytest.mark.parametrize("content", [b"no archive", b"PK\x03\x04 broken"])
def test_a_file_that_is_none_is_refused(content: bytes):
    with pytest.raises(StrangersError, match=r"strangers\.npz is none that uncnn wrote"):
        unpacked(content)


def test_another_file_is_refused(tmp_path: Path):
    card = read_card(EMBEDDED / "openvino-0095")
    with pytest.raises(StrangersError, match="cannot be read"):
        read_statistics(tmp_path, card)
    (tmp_path / FILE).write_bytes((EMBEDDED / "esp-mfn" / FILE).read_bytes())
    with pytest.raises(StrangersError, match=r"its sha256 is .*install openvino-0095 again"):
        read_statistics(tmp_path, card)
    assert read_statistics(tmp_path, card.model_copy(update={"confidence": None})) is None
