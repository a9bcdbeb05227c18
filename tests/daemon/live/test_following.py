"""Faces as they come: hidden before they are found and after they are lost, and never taken for each other."""

from __future__ import annotations

import numpy as np

from uncnn.daemon.live.following import GHOST_SECONDS, WAITS_SECONDS, Following
from uncnn.plugins.api import Face

RATE = 20.0


def face(x: float, y: float = 100.0, size: float = 40.0, score: float = 0.9) -> Face:
    points = [(x + size * a, y + size * b) for a, b in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))]
    left_eye, right_eye, nose, left, right = points
    return Face((x, y, x + size, y + size), (left_eye, right_eye, nose, left, right), score)


def followed(*looks: list[Face], cuts: tuple[int, ...] = ()) -> Following:
    following = Following()
    for number, found in enumerate(looks):
        following.look(number, found, number / RATE, number in cuts)
    return following


def holds(box: np.ndarray, one: Face) -> bool:
    return bool((box[:2] <= one.box[:2]).all() and (box[2:] >= one.box[2:]).all())


def test_a_face_that_moves_is_one_and_both_of_its_places_are_hidden() -> None:
    looks = [[face(100 + 12.0 * number)] for number in range(8)]
    following = followed(*looks)
    (one,) = following.faces
    assert following.count == 1
    place = following.place(one, 6, 7, 7 / RATE)
    assert holds(place, looks[6][0])
    assert holds(place, looks[7][0])


def test_a_face_that_is_found_first_was_there_before() -> None:
    following = followed([], [], [face(200)])
    (one,) = following.faces
    assert holds(following.place(one, 1, 2, 2 / RATE), face(190))


def test_a_lost_face_is_hidden_on_where_it_may_be_and_then_forgotten() -> None:
    following = followed(*[[face(100)]] * 4)
    lost_at, sizes = 3 / RATE, []
    for number in range(4, 60):
        seconds = number / RATE
        following.look(number, [], seconds, False)
        if not following.faces:
            break
        place = following.place(following.faces[0], number, number, seconds)
        assert holds(place, face(100))
        sizes.append(float(place[2] - place[0]))
    assert WAITS_SECONDS - 0.1 < seconds - lost_at < WAITS_SECONDS + 0.1
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]


def test_what_was_hardly_a_face_is_forgotten_soon() -> None:
    following = followed([face(100, score=0.35)])
    following.look(1, [], GHOST_SECONDS + 0.01, False)
    assert following.faces == []


def test_a_faint_face_goes_on_but_does_not_begin() -> None:
    following = followed([face(100)], [face(102, score=0.2)], [face(300, score=0.2)])
    (one,) = following.faces
    assert one.looks == 2


def test_a_cut_begins_other_faces_at_the_same_places() -> None:
    following = followed([face(100)], [face(100)], [face(100)], cuts=(2,))
    (one,) = following.faces
    assert (following.count, one.number, one.looks) == (2, 1, 1)


def test_faces_that_meet_may_have_been_taken_for_each_other() -> None:
    apart = followed([face(100), face(300)])
    assert [one.met for one in apart.faces] == [0, 0]
    met = followed([face(100), face(170)], [face(110), face(150)], [face(115), face(135)])
    assert [one.met > 0 for one in met.faces] == [True, True]


def test_one_face_that_is_seen_twice_is_one() -> None:
    assert followed([face(100), face(101, score=0.8)]).count == 1


def test_on_a_slow_machine_a_face_stays_the_same_one_but_not_surely_the_same_person() -> None:
    following = Following()
    for number, seconds in enumerate((0.0, 0.4, 0.8, 1.2, 4.2)):
        following.look(number, [face(100 + 2 * number)], seconds, False)
        (one,) = following.faces
        assert one.met == (number == 4)
    assert following.count == 1


def test_a_face_keeps_no_more_than_its_latest_looks() -> None:
    following = followed(*[[face(100.0 + number)] for number in range(50)])
    (one,) = following.faces
    assert (len(one.track.seen), len(one.track.frames), one.looks) == (3, 3, 50)
