"""Fits what the shipped cards say of confidence, on one half of the people, and writes it: see `explain.py --fit`."""

from __future__ import annotations

import numpy as np
from explain_data import Data, HalfOfPeople

from uncnn.exporters.calibration import strangers
from uncnn.exporters.calibration.confidence import curves
from uncnn.exporters.calibration.nearest import fit_nearest
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import write_card
from uncnn.plugins.recognisers.cohort import Cohort, closeness
from uncnn.plugins.recognisers.confidence import Confidence


def fit(data: Data) -> tuple[Confidence, bytes]:
    """Return what a card says, and the file of its strangers."""
    euclidean, half = data.card.metric == "euclidean", data.tune
    content = strangers.statistics_of(half.others, euclidean=euclidean).packed()
    cohort = Cohort(strangers.unpacked(content).drawn(strangers.COHORT_SEED), euclidean)
    faces = np.concatenate(list(half.people.values()))
    fitted = Confidence(
        fitted_on=(
            f"LFW: {len(half.people)} people with {len(faces):,} photos, {len(half.others):,} others; cloaked by veil "
            f"at balanced: {sum(map(len, half.cloaked.values()))} of their photos"
        ),
        ordinary=curves(half.people, half.others, cohort),
        cloaked=curves(_without(half), half.others, cohort, probes=half.cloaked),
        nearest=fit_nearest(
            half.others,
            strangers.held_out_levels(half.others, euclidean=euclidean),
            euclidean=euclidean,
            same=same_closeness(half, euclidean=euclidean),
        ),
        strangers=strangers.matched(content, faces, half.others, euclidean=euclidean),
    )
    return fitted, content


def write(data: Data, fitted: Confidence, content: bytes) -> None:
    """Write the card and the strangers of a recogniser that ships."""
    folder = EMBEDDED / data.card.name
    (folder / strangers.FILE).write_bytes(content)
    write_card(data.card.model_copy(update={"confidence": fitted}), folder)


def _without(half: HalfOfPeople) -> dict[str, np.ndarray]:
    """Return the people with cloaked photos, known from their other photos."""
    return {
        who: np.stack([row for row in rows if not is_among(row, half.plain[who])])
        for who, rows in half.people.items()
        if who in half.cloaked
    }


def is_among(row: np.ndarray, rows: np.ndarray) -> bool:
    """Return whether an embedding is one of `rows`: that of the very photo."""
    return bool(np.isclose(rows, row).all(axis=1).any())


def same_closeness(half: HalfOfPeople, *, euclidean: bool) -> float:
    """Return the median closeness of two photos of one person."""
    pairs = [closeness(rows, rows, euclidean=euclidean)[np.triu_indices(len(rows), 1)] for rows in half.people.values()]
    return float(np.median(np.concatenate(pairs)))
