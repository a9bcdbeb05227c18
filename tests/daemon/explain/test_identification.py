"""Names and their chances: they follow Bayes' rule, sum to one, and nobody has to be named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uncnn.daemon.explain.explained import Identification
from uncnn.daemon.explain.gallery import Gallery
from uncnn.daemon.explain.identification import SHOWN, chances, identify
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Card, read_card
from uncnn.plugins.recognisers.cohort import Cohort
from uncnn.plugins.recognisers.confidence import Confidence

SIZE = 256  # of the embeddings of openvino-0095


def card_of(log_ratios: tuple[float, ...] = (-3.0, 0.0, 4.0), **more: object) -> Card:
    curve = {"leads": (-0.4, 0.0, 0.4), "log_ratios": log_ratios}
    confidence = Confidence.model_validate(
        {
            "fitted_on": "numbers",
            "ordinary": {1: curve},
            "cloaked": {1: {"leads": (-0.4, 0.0), "log_ratios": (-0.1, 0.1)}},
            "strangers": {"sha256": "0" * 64, "drawn": (-1.0, 1.0), "real": (-1.0, 1.0)},
            **more,
        }
    )
    return read_card(EMBEDDED / "openvino-0095").model_copy(update={"confidence": confidence})


def faces(seed: int, number: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(number, SIZE))


def gallery(card: Card, people: Floats, strangers: int = 30) -> Gallery:
    names = tuple(f"person {number}" for number in range(len(people)))
    return Gallery(card, names, (1,) * len(people), people, faces(1, strangers), Cohort(faces(2, 100), False))


def everything(found: Identification) -> float:
    assert found.others is not None
    assert found.nobody is not None
    return sum(each.confidence or 0 for each in found.candidates) + found.others + found.nobody


def test_the_chances_follow_bayes_rule():
    known = gallery(card_of(), faces(3, 4))
    face = known.people[2] + 0.5 * faces(4, 1)[0]
    found = chances(known, face[None], cloaked=False)
    assert found is not None
    near, level = known.closeness(face[None])
    ratios = np.exp(np.interp(near - level[:, None], (-0.4, 0.0, 0.4), (-3.0, 0.0, 4.0)))[0]
    each = 0.5 / 34 * ratios
    np.testing.assert_allclose(found.names[0], each / (0.5 + each.sum()))
    assert found.nobody[0] == pytest.approx(0.5 / (0.5 + each.sum()))
    shown = identify(known, face, cloaked=False)
    assert shown.candidates[0].name == "person 2"
    assert len(shown.candidates) == SHOWN
    assert everything(shown) == pytest.approx(1)


def test_a_face_that_is_like_nobody_is_none_of_these():
    found = identify(gallery(card_of((-9.0, -6.0, 9.0)), faces(3, 4)), faces(5, 1)[0], cloaked=False)
    assert found.nobody is not None
    assert found.nobody > 0.99


def test_the_more_names_there_are_the_less_a_score_says():
    people = faces(3, 1)
    few, many = (
        identify(gallery(card_of(), people, strangers), people[0], cloaked=False).candidates[0]
        for strangers in (10, 1000)
    )
    assert few.score == pytest.approx(many.score) == pytest.approx(1)
    assert (few.confidence or 0) > 4 * (many.confidence or 0) > 0


def test_a_score_that_says_nothing_leaves_every_chance_as_it_was():
    found = identify(gallery(card_of((0.0, 0.0, 0.0)), faces(3, 4)), faces(5, 1)[0], cloaked=False)
    assert found.nobody == pytest.approx(0.5)
    assert [each.confidence for each in found.candidates] == pytest.approx([0.5 / 34] * SHOWN)
    scores = [each.score for each in found.candidates]
    assert scores == sorted(scores, reverse=True), "of equally likely ones the nearest come first, not the people"
    assert any(each.kind == "stranger" for each in found.candidates)


def test_a_cloaked_face_is_not_taken_for_a_stranger_by_who_expects_cloaks():
    known = gallery(card_of((-9.0, -6.0, 9.0)), faces(3, 4))
    found = identify(known, faces(5, 1)[0], cloaked=True)
    assert found.nobody is not None
    assert found.unaware is not None
    assert found.nobody < 0.6
    assert found.unaware > 0.99


def test_a_copy_that_is_not_cloaked_is_named_all_the_same():
    known = gallery(card_of((-9.0, 0.0, 14.0)), faces(3, 4))
    expected, plain = (identify(known, known.people[1], cloaked=cloaked) for cloaked in (True, False))
    assert expected.candidates[0].name == plain.candidates[0].name == "person 1"
    assert (expected.candidates[0].confidence or 0) > 0.9


def test_a_name_is_given_beyond_the_threshold_for_so_many_names():
    tail = {"gallery": 34, "share": 0.3, "start": 0.3, "scale": 0.05, "shape": 0.0}
    near, far = card_of(nearest=tail), card_of(nearest={**tail, "start": -0.9})
    person = faces(3, 4)
    asked = person[0] + 3 * faces(6, 1)[0]
    assert identify(gallery(near, person), asked, cloaked=False).named is False
    assert identify(gallery(far, person), asked, cloaked=False).named is True
    assert identify(gallery(card_of(), person), person[0], cloaked=False).named is None


def test_a_recogniser_that_was_not_calibrated_gives_scores_and_no_chances():
    people = faces(3, 4)
    plain = card_of().model_copy(update={"confidence": None})
    known = replace(gallery(plain, people, 0), cohort=None)
    found = identify(known, people[3], cloaked=True)
    assert found.candidates[0].name == "person 3"
    assert found.candidates[0].score == pytest.approx(1)
    assert {each.confidence for each in found.candidates} == {None}
    assert (found.others, found.nobody, found.named, found.unaware) == (None, None, None, None)


def test_a_distance_is_said_as_a_distance():
    card = card_of().model_copy(update={"metric": "euclidean"})
    known = replace(gallery(card, faces(3, 4)), cohort=Cohort(faces(2, 100), True))
    found = identify(known, known.people[0], cloaked=False)
    assert found.candidates[0].name == "person 0"
    assert found.candidates[0].score == pytest.approx(0, abs=1e-5)
    assert all(a.score <= b.score for a, b in zip(found.candidates, found.candidates[1:], strict=False))
