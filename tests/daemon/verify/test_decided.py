"""Which face a decision of a person is about: that one, or none."""

from __future__ import annotations

import pytest

from uncnn.daemon.ledger.decisions import FaceDecision, Kind, packed, unpacked
from uncnn.daemon.verify.decided import SAME_BOX, about, applied
from uncnn.plugins.api import Face

Box = tuple[float, float, float, float]

HERE: Box = (100, 100, 200, 200)
ELSEWHERE: Box = (300, 100, 400, 200)
OVER: Box = (100, 120, 200, 220)  # two thirds are shared with what is here


def face(box: Box) -> Face:
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    return Face(box, ((x - 9, y), (x + 9, y), (x, y + 5), (x - 7, y + 10), (x + 7, y + 10)), 0.9)


def decision(box: Box, kind: Kind = "leave") -> FaceDecision:
    return FaceDecision(kind, box, "command", "2026-01-02T03:04:05+00:00")


def kinds(decisions: list[FaceDecision], boxes: list[Box], known: int | None = None) -> list[str | None]:
    faces = list(map(face, boxes))
    return list(applied(decisions, faces, len(faces) if known is None else known).kinds)


def test_the_face_that_it_was_said_of_is_meant_and_no_other() -> None:
    assert kinds([decision(HERE)], [ELSEWHERE, HERE]) == [None, "leave"]
    assert kinds([decision(HERE), decision(ELSEWHERE, "not-a-person")], [ELSEWHERE, HERE]) == ["not-a-person", "leave"]
    assert kinds([], [HERE]) == [None]
    assert applied([decision(HERE)], [face(HERE)], 1).unapplied == ()


@pytest.mark.parametrize(("moved", "meant"), [(0, True), (30, True), (33, True), (34, False), (100, False)])
def test_a_face_that_is_found_a_little_beside_is_the_same(moved: float, meant: bool) -> None:
    left, top, right, bottom = HERE
    box = (left + moved, top, right + moved, bottom)
    assert (decision(HERE).overlap(box) >= SAME_BOX) is meant
    assert kinds([decision(HERE)], [box]) == ["leave" if meant else None]


def test_half_of_their_union_is_enough() -> None:
    assert decision(HERE).overlap((100, 100, 200, 300)) == SAME_BOX
    assert kinds([decision(HERE)], [(100, 100, 200, 300)]) == ["leave"]


def test_one_that_meets_no_face_changes_nothing_and_is_said() -> None:
    found = applied([decision(HERE)], [face(ELSEWHERE)], 1)
    assert found.kinds == (None,)
    assert found.unapplied == ("your decision about the face at 100,100 was not applied: no face was found there",)
    assert applied([decision(HERE)], [], 0).unapplied == found.unapplied


def test_one_that_may_mean_two_faces_changes_nothing_and_is_said() -> None:
    for box in (HERE, OVER):
        found = applied([decision(box)], [face(HERE), face(OVER)], 2)
        assert found.kinds == (None, None)
        assert "2 faces overlap there: decide about each of them" in found.unapplied[0]
    assert kinds([decision(HERE), decision(ELSEWHERE)], [HERE, OVER, ELSEWHERE]) == [None, None, "leave"]


def test_where_each_that_may_be_meant_was_decided_about_each_is_left() -> None:
    assert kinds([decision(OVER), decision(HERE, "not-a-person")], [HERE, OVER]) == ["not-a-person", "leave"]


def test_what_was_not_applied_does_not_say_what_a_face_is() -> None:
    above = decision((100, 70, 200, 170))  # it means the first face alone, and fits it less than the other one does
    assert kinds([decision(HERE, "not-a-person"), above], [HERE, OVER]) == ["leave", None]


def test_a_face_that_only_a_copy_shows_is_asked_about_last() -> None:
    assert kinds([decision(HERE)], [HERE, OVER], known=1) == ["leave", None], "not in doubt: the original has one there"
    assert kinds([decision(HERE)], [ELSEWHERE, OVER], known=1) == [None, "leave"]


def test_what_is_replaced_is_what_was_said_of_that_face() -> None:
    faces = [face(HERE), face(OVER), face(ELSEWHERE)]
    said = [decision(HERE), decision(OVER), decision((1000, 1000, 1100, 1100))]
    assert [about(said, faces, number) for number in range(3)] == [[said[0]], [said[1]], []]


def test_the_ledger_gives_back_what_it_was_given() -> None:
    said = (decision(HERE), decision((0.5, 1, 2, 3.25), "not-a-person"))
    assert unpacked(packed(said)) == said
    assert (packed(()), unpacked(None)) == (None, ())
