"""What an evaluation keeps of each photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.verify.jod import Jod, Visibility
from uncnn.plugins.api import Pixels, UncnnError
from uncnn.plugins.recognisers.cards import Embeddings

EmbeddingsByJudge: TypeAlias = Mapping[str, Mapping[str, Embeddings]]
"""By judge and view, the embedding (D,) of one face."""


class Progress(Protocol):
    """Hears of each photo that is begun, and of the stage that it is in."""

    def begin(self, name: str) -> None:
        """Hear that the next photo is begun."""
        ...

    def report(self, stage: Stage) -> None:
        """Hear of its stage."""
        ...


class LeftOut(UncnnError):
    """A photo that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Take:
    """One photo at one strength, as it would be published."""

    seconds: float  # of the worker, to change the face and to write the file
    found_again: bool  # the detector finds the face on the published bytes
    visibility: Visibility | None  # None: too small for the metrics
    embeddings: EmbeddingsByJudge
    jod: Jod  # of the whole photo
    held: str = ""  # why it would not be published; "": it would
    strengths: tuple[str, ...] = ()  # of its faces, where the policy chose them
    age: float | None = None  # of the face, as an outside judge estimates it


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo of a person."""

    person: str
    name: str  # below the folder
    face_px: float
    clean: Mapping[str, Embeddings]  # by judge: the embedding of the original file
    takes: Mapping[str, Take]  # by strength, UNCLOAKED too
    age: float | None = None  # of the face in the original, as an outside judge estimates it


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One face to look at: the square of the original, and of what was published at each strength."""

    person: str
    original: Pixels
    released: Mapping[str, Pixels]
    jod: Mapping[str, Jod]  # by strength


@dataclass(frozen=True, slots=True)
class Session:
    """All photos of an evaluation."""

    shots: tuple[Shot, ...]
    samples: tuple[Sample, ...]
    distractors: Mapping[str, Embeddings]  # by judge: (M, D)
    left_out: tuple[str, ...]  # a sentence each
    notes: tuple[str, ...] = ()  # what else is to be said, a sentence each
