"""Whom every recogniser takes the faces of a photo for, and those of its copy, as values that go into JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from uncnn.daemon.explain.gallery import Gallery
from uncnn.daemon.explain.identification import Identification, identify
from uncnn.plugins.api import Face


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


def answers(
    galleries: Sequence[Gallery], original: Mapping[str, list[float]], copy: Mapping[str, list[float]] | None
) -> tuple[RecogniserAnswer, ...]:
    """Return whom each recogniser takes a face for, by its embeddings of it in a photo and in a copy, by name."""
    return tuple(
        RecogniserAnswer(
            gallery.card.name,
            gallery.card.role,
            gallery.card.kind,
            gallery.card.metric,
            gallery.size,
            identify(gallery, np.array(original[gallery.card.name]), cloaked=False),
            None if copy is None else identify(gallery, np.array(copy[gallery.card.name]), cloaked=True),
        )
        for gallery in galleries
    )
