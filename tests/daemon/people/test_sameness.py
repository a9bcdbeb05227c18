"""Whether photos show one person, from embeddings that are as alike as a test wants them."""

from __future__ import annotations

import numpy as np
import pytest

from uncnn.daemon.jobs.enrolment import check_sameness
from uncnn.daemon.people.sameness import groups
from uncnn.daemon.people.store import PeopleError, Template
from uncnn.plugins.recognisers.cards import Card

NAMES = ("a", "b", "c")
CARDS = {name: Card.model_construct(name=name, sha256=name, metric="cosine", thresholds={1e-3: 0.5}) for name in NAMES}


def turned(*degrees: float) -> list[list[float]]:
    """Return embeddings at these angles: those within 60 degrees of each other are linked."""
    return [[float(np.cos(angle)), float(np.sin(angle))] for angle in np.radians(degrees)]


def found(*angles: list[list[float]]) -> list[list[int]]:
    return groups([Template(name, name, each) for name, each in zip(NAMES, angles, strict=True)], CARDS)


def test_photos_of_one_person_are_one_group() -> None:
    assert found(*[turned(0, 10, 20)] * 3) == [[0, 1, 2]]


def test_a_chain_of_pairs_holds_a_person_together() -> None:
    assert found(*[turned(0, 50, 100, 150)] * 3) == [[0, 1, 2, 3]]


def test_three_people_are_three_groups() -> None:
    assert found(*[turned(0, 90, 180)] * 3) == [[0], [1], [2]]


def test_the_most_photos_come_first() -> None:
    assert found(*[turned(0, 90, 100)] * 3) == [[1, 2], [0]]


def test_most_recognisers_decide() -> None:
    apart, alike = turned(0, 90), turned(0, 10)
    assert found(apart, alike, alike) == [[0, 1]]
    assert found(apart, apart, alike) == [[0], [1]]


def test_the_photo_of_another_is_named() -> None:
    from pathlib import Path

    photos = [Path("1.jpg"), Path("2.jpg"), Path("3.jpg")]
    check_sameness("Ada", photos, [[0, 1, 2]])
    with pytest.raises(
        PeopleError, match=r"^1.jpg seems to show another person than 2.jpg, 3.jpg \(according to most recognisers\): "
    ):
        check_sameness("Ada", photos, [[1, 2], [0]])
    with pytest.raises(
        PeopleError, match=r"^1.jpg and 2.jpg seem to show different people .* do not show Ada, or add photos"
    ):
        check_sameness("Ada", photos, [[0], [1], [2]])
