"""Several cloaked photos of a person, with known answers; any rank; any judge."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from uncnn.daemon.evaluate import adversaries
from uncnn.daemon.evaluate.adversaries import Judge
from uncnn.daemon.evaluate.albums import growing, majority
from uncnn.daemon.evaluate.faces import FaceFinding, Nearest, worst_cases
from uncnn.daemon.evaluate.values import Shot, Take
from uncnn.daemon.verify.jod import Jod
from uncnn.plugins.recognisers.cards import Embeddings

JUDGE = Judge("judge", "cosine", 0.5)
PEOPLE = np.repeat(np.arange(3), 4)  # three people, four photos each
CLEAN: Embeddings = np.eye(16, dtype=np.float32)[PEOPLE]


def looking_like(*directions: int) -> Embeddings:
    """Return embeddings, (N, 16), each of a direction of its own."""
    return np.eye(16, dtype=np.float32)[list(directions)]


def test_a_growing_gallery_is_the_mean_over_every_choice() -> None:
    random = np.random.default_rng(0)
    cloaked = random.normal(size=(12, 3)).astype(np.float32)
    linked = adversaries.closeness("cosine", cloaked, cloaked) >= JUDGE.least
    for photos in (1, 2, 3):
        expected = [
            np.mean([linked[number, list(chosen)].any() for chosen in combinations(_others(number), photos)])
            for number in range(12)
        ]
        assert growing(JUDGE, cloaked, PEOPLE, photos) == pytest.approx(expected)
    one = adversaries.verification(JUDGE, cloaked, cloaked, PEOPLE)
    assert growing(JUDGE, cloaked, PEOPLE, 1) == pytest.approx(one)
    assert np.isnan(growing(JUDGE, cloaked, PEOPLE, 4)).all(), "there are three others"


def test_a_growing_gallery_leaves_out_what_is_not_there() -> None:
    cloaked = looking_like(*range(12))
    cloaked[0], cloaked[1], cloaked[3] = 0, np.nan, cloaked[2]  # no face was found; it was held; a twin
    found = growing(JUDGE, cloaked, PEOPLE, 2)
    assert (found[0], found[2], found[3]) == (0, 1, 1)
    assert np.isnan(found[1])
    assert np.isnan(growing(JUDGE, cloaked, PEOPLE, 3)[:4]).all()
    assert not growing(JUDGE, cloaked, PEOPLE, 3)[4:].any()


def test_an_album_names_whom_most_of_its_photos_are_closest_to() -> None:
    strangers = looking_like(10, 11)
    album = looking_like(0, 0, 10, 1, 10, 10, 1, 2, 2, 2, 11, 11)
    named = majority(JUDGE, album, CLEAN, PEOPLE, strangers)
    assert named.tolist() == [1] * 4 + [0] * 4 + [0] * 4, "two of four; one; as many for a stranger"
    assert majority(JUDGE, CLEAN, CLEAN, PEOPLE, None).all()


def test_an_album_of_one_photo_is_not_asked_and_faces_that_are_not_found_do_not_vote() -> None:
    album = CLEAN.copy()
    album[1:4], album[4:7] = np.nan, 0
    named = majority(JUDGE, album, CLEAN, PEOPLE, None)
    assert np.isnan(named[:4]).all()
    assert named[4:].tolist() == [1] * 8
    album[7] = 0
    assert majority(JUDGE, album, CLEAN, PEOPLE, None)[4:8].tolist() == [0] * 4


def test_any_rank_counts_everybody_who_comes_before() -> None:
    probes = CLEAN + 0.5 * np.eye(16, dtype=np.float32)[10]
    strangers = np.repeat(
        probes[:1], 3, axis=0
    )  # three who are closer to the first person's photos, and as close to none
    for rank, found in ((1, 0), (3, 0), (4, 1)):
        asked = adversaries.identification(JUDGE, probes, CLEAN, PEOPLE, strangers, rank)
        assert asked.tolist() == [found] * 4 + [1] * 8
    unseen = np.zeros_like(CLEAN)
    assert not adversaries.identification(JUDGE, unseen, CLEAN, PEOPLE, None, 50).any(), "no face is in no list"


def test_any_judge_is_the_worst_case_of_each_photo() -> None:
    shots = [_shot(number, "held" if number == 3 else "") for number in range(4)]
    beyond = {0: -0.1, 1: 0.2, 2: 0.0, 3: -0.5}
    faces = [_face(shot, Nearest("judge", beyond[number])) for number, shot in enumerate(shots)]
    faces[1] = _face(shots[1], None)  # no judge found a face
    (case,) = worst_cases(faces, shots, ("strong",))
    assert (case.own.value, case.own.photos) == (pytest.approx(2 / 3), 3)
    assert (case.cross.value, case.cross.photos) == (0, 3)


def _others(number: int) -> list[int]:
    return [other for other in range(12) if PEOPLE[other] == PEOPLE[number] and other != number]


def _shot(number: int, held: str) -> Shot:
    take = Take(1.0, True, None, {}, Jod(10, 10, None), held=held)
    return Shot(f"person {number // 2}", f"{number}.jpg", 100.0, {}, {"strong": take})


def _face(shot: Shot, own: Nearest | None) -> FaceFinding:
    return FaceFinding(shot.person, shot.name, 100.0, "strong", Jod(10, 10, None), own, None)
