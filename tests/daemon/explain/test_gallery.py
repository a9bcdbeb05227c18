"""Who is in the gallery: everybody whom the recogniser knows, and strangers where there are statistics of them."""

from __future__ import annotations

import numpy as np

from uncnn.daemon.explain.gallery import gallery_of
from uncnn.daemon.explain.members import Member
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import read_card

FOLDER = EMBEDDED / "openvino-0095"
CARD = read_card(FOLDER)


def rows(seed: int, photos: int) -> list[list[float]]:
    return np.random.default_rng(seed).normal(size=(photos, CARD.embedding)).tolist()


def test_it_has_the_people_first_and_a_thousand_strangers():
    found = gallery_of(
        CARD, FOLDER, [Member("Ada", {CARD.sha256: rows(0, 1)}), Member("Bob", {CARD.sha256: rows(1, 3)})]
    )
    assert found.size == 1002
    assert [found.name(place) for place in (0, 1, 2, 1001)] == [
        ("Ada", "person"),
        ("Bob", "person"),
        ("stranger 1", "stranger"),
        ("stranger 1000", "stranger"),
    ]
    assert found.photos == (1, 3)
    near, levels = found.closeness(np.array(rows(0, 1)))
    assert near.shape == (1, 1002)
    assert near[0].argmax() == 0
    assert near[0, 0] == np.float64(1) or abs(near[0, 0] - 1) < 1e-9
    assert levels.shape == (1,)


def test_who_was_enrolled_without_this_recogniser_is_not_in_its_gallery():
    found = gallery_of(CARD, FOLDER, [Member("Ada", {"other": rows(0, 1)}), Member("Bob", {CARD.sha256: rows(1, 1)})])
    assert found.names == ("Bob",)


def test_without_statistics_there_are_no_strangers():
    plain = CARD.model_copy(update={"confidence": None})
    found = gallery_of(plain, FOLDER, [Member("Ada", {CARD.sha256: rows(0, 1)})])
    assert (found.size, found.cohort) == (1, None)
    near, levels = found.closeness(np.array(rows(2, 2)))
    assert near.shape == (2, 1)
    assert not levels.any()
