"""Whom every recogniser takes the faces of a photo for, and those of its copy, as values that go into JSON.

Nothing is computed here, and no library of arrays imported: whoever only asks and shows needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from uncnn.plugins.api import Face

Kind: TypeAlias = Literal["person", "stranger"]

FALSE_NAMES: Final = 0.05
"""Of strangers who may be given a name by a recogniser that has to say one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name for a face."""

    name: str
    kind: Kind
    score: float  # in the recogniser's metric
    confidence: float | None  # the chance that it is this person, 0..1; None: the recogniser was not calibrated


@dataclass(frozen=True, slots=True)
class Identification:
    """Whom a recogniser takes a face for."""

    candidates: tuple[Candidate, ...]  # the likeliest first
    others: float | None  # the chance of all further names together
    nobody: float | None  # the chance that it is none of them
    named: bool | None  # whether it is near enough to the first for a recogniser that rarely names strangers
    unaware: float | None = None  # of a cloaked face, `nobody` to a recogniser that knows nothing of cloaks


@dataclass(frozen=True, slots=True)
class RecogniserAnswer:
    """Whom one recogniser takes one face for."""

    recogniser: str
    role: Literal["surrogate", "judge", "classifier"]  # a classifier has to name one of those that it knows
    family: str
    metric: str  # of a classifier: softmax
    names: int  # in its gallery, or that it knows
    original: Identification
    copy: Identification | None  # None: there is no copy


@dataclass(frozen=True, slots=True)
class ExplainedFace:
    """Whom all of them take one face for."""

    number: int
    face: Face
    again: Face | None  # in the copy
    found_again: bool | None  # by the detector; None: there is no copy
    answers: tuple[RecogniserAnswer, ...]
