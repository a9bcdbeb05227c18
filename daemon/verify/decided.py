"""Which faces of a photo the decisions of a person are about. In doubt a decision is about none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from uncnn.daemon.ledger.decisions import FaceDecision, Kind
from uncnn.daemon.verify.statement import faces_words
from uncnn.plugins.api import Face

SAME_BOX: Final = 0.5
"""Intersection over union from which on two boxes may be of one face."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What decisions come to in a photo."""

    kinds: tuple[Kind | None, ...]  # one a face; None: nothing was decided about it
    unapplied: tuple[str, ...]  # the decisions that changed nothing, and why, a line each


def applied(decisions: Sequence[FaceDecision], faces: Sequence[Face], known: int) -> Applied:
    """Return which of `faces` each decision is about; the first `known` are those of the original.

    The others, that only a copy shows, are asked about where none of the original's is meant. Where a decision may be
    about several faces, it is applied only if the person decided about each of them.
    """
    kinds: list[Kind | None] = [None] * len(faces)
    meant: dict[FaceDecision, frozenset[int]] = {}
    for each in decisions:
        meant[each] = _meant(each, faces, range(known)) or _meant(each, faces, range(known, len(faces)))
    unapplied = []
    for each, places in meant.items():
        if not places or len(places) > sum(other == places for other in meant.values()):
            unapplied.append(_why_not(each, len(places)))
            continue
        for place in places:
            closest = max(
                (other for other, theirs in meant.items() if theirs == places),
                key=lambda other: other.overlap(faces[place].box),
            )
            kinds[place] = closest.kind
    return Applied(tuple(kinds), tuple(unapplied))


def about(decisions: Iterable[FaceDecision], faces: Sequence[Face], number: int) -> list[FaceDecision]:
    """Return the decisions that are closest to the face of this place in `faces`, if any of them is close at all."""
    return [
        each
        for each in decisions
        if each.overlap(faces[number].box) >= max(SAME_BOX, *(each.overlap(face.box) for face in faces))
    ]


def _meant(decision: FaceDecision, faces: Sequence[Face], places: Iterable[int]) -> frozenset[int]:
    return frozenset(place for place in places if decision.overlap(faces[place].box) >= SAME_BOX)


def _why_not(decision: FaceDecision, faces: int) -> str:
    left, top = (round(edge) for edge in decision.box[:2])
    found = f"{faces_words(faces)} overlap there: decide about each of them" if faces else "no face was found there"
    return f"your decision about the face at {left},{top} was not applied: {found}"
