"""Whom every recogniser takes the faces of a photo for, and those of its copy, as values that go into JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from uncnn.plugins.api import Face

Kind: TypeAlias = Literal["person", "stranger"]


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
    role: Literal["surrogate", "judge"]
    family: str
    metric: str
    names: int  # in its gallery
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
