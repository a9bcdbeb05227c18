"""What the verifier found: for each face, whether each recogniser still links it to the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from uncnn.plugins.api import Face


@dataclass(frozen=True, slots=True)
class Judgement:
    """One recogniser's answer in one view."""

    recogniser: str
    role: Literal["surrogate", "judge"]
    metric: Literal["cosine", "euclidean"]  # cosine: larger is more alike; euclidean: smaller
    view: str
    before: float  # original against the same view of the original
    after: float  # original against this view of the released photo, at its worst
    threshold: float
    linked: bool  # `after` is on the side of the threshold that calls it the same person, or too near to it
    margin: float = 0.0  # how far beyond the threshold `after` must lie, as a share of the distance that it stands for


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """What became of one face."""

    face: Face
    required: bool  # False: smaller than the policy asks for, or spared
    found_again: bool  # the detector finds it on the released bytes
    ssimulacra2: float | None  # of the face's square, released against original; what was moved is compared as moved
    judgements: tuple[Judgement, ...]
    spared: bool = False  # left alone because of whose it is
    moved: float = 0.0  # how far its pixels were moved at most, as a share of the distance between the eyes
    uncertain: str = ""  # why it may be no face, or was not seen by all: "" where nothing is in doubt

    @property
    def protected(self) -> bool:
        """Return whether no judge links the face in any view."""
        judged = [judgement for judgement in self.judgements if judgement.role == "judge"]
        return bool(judged) and not any(judgement.linked for judgement in judged)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The proof that goes with the released bytes, and with no others."""

    sha256: str  # of the released bytes
    far: float
    views: tuple[str, ...]
    faces: tuple[FaceVerdict, ...]
    fingerprint: str | None = None  # of the picture in them, whatever the file says besides

    @property
    def protected(self) -> bool:
        """Return whether every face that the policy asks for is protected."""
        return all(face.protected for face in self.faces if face.required)


FACE = TypeAdapter(Face)
"""A face as JSON between the processes."""

FACES = TypeAdapter(list[Face])
"""Faces as JSON between the processes."""

VERDICT = TypeAdapter(Verdict)
"""A verdict as JSON between the processes."""
