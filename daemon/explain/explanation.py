"""Whom every recogniser takes one face for, and the same face in a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from uncnn.daemon.explain.explained import RecogniserAnswer
from uncnn.daemon.explain.gallery import Gallery
from uncnn.daemon.explain.identification import identify


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
