"""How sure a recogniser may be of a name: curves, the tail of false names and strangers, of people's embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from uncnn.exporters.calibration.impostors import Codes
from uncnn.exporters.calibration.likelihood import fit_curve
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cohort import Cohort, template
from uncnn.plugins.recognisers.confidence import Curve

PHOTOS: Final = (1, 2, 4)
"""So many photos tell of a person: a curve for each number."""

DRAWS: Final = 8  # of the photos that tell of each person
SEED: Final = 0


def curves(
    people: Mapping[str, Floats],
    others: Floats,
    cohort: Cohort,
    *,
    probes: Mapping[str, Floats] | None = None,
    draws: int = DRAWS,
) -> dict[int, Curve]:
    """Return the curve for each of `PHOTOS`.

    `people` are the embeddings of each person's photos, (n, D), two or more; `others`, (N, D), are one each of people
    beside them. The `cohort` is drawn from nobody of `people`. `probes` are other photos of the same people that are
    asked about instead, cloaked ones. Each person counts the same.
    """
    return {photos: fit_curve(*_pairs(people, others, cohort, photos, probes, draws)) for photos in PHOTOS}


def _pairs(
    people: Mapping[str, Floats],
    others: Floats,
    cohort: Cohort,
    photos: int,
    probes: Mapping[str, Floats] | None,
    draws: int,
) -> tuple[Floats, Floats, Floats]:
    """Return the leads of genuine and of impostor pairs, and the weights of the former."""
    generator = np.random.default_rng(SEED)
    genuine, weights, impostor = [], [], []
    for _ in range(draws):
        known, asked, whose = _drawn(people, photos, generator, probes, euclidean=cohort.euclidean)
        near = cohort.leads(asked, known)
        own = np.eye(len(known), dtype=bool)[whose]
        genuine.append(near[own])
        weights.append(1 / np.bincount(whose)[whose])
        impostor.append(near[~own])
    if photos == 1:
        impostor.append(cohort.leads(np.concatenate(list((probes or people).values())), others).ravel())
    return np.concatenate(genuine), np.concatenate(impostor), np.concatenate(weights)


def _drawn(
    people: Mapping[str, Floats],
    photos: int,
    generator: np.random.Generator,
    probes: Mapping[str, Floats] | None,
    *,
    euclidean: bool,
) -> tuple[Floats, Floats, Codes]:
    """Return templates of so many photos, (P, D), what is asked about, (Q, D), and whose that is, (Q,)."""
    known, asked, whose = [], [], []
    for number, (name, embeddings) in enumerate(people.items()):
        order = generator.permutation(len(embeddings))
        taken = min(photos, len(embeddings) - 1)
        known.append(template(embeddings[order[:taken]], euclidean=euclidean))
        rest = embeddings[order[taken:]] if probes is None else probes.get(name, embeddings[:0])
        asked.append(rest)
        whose += [number] * len(rest)
    return np.stack(known), np.concatenate(asked), np.array(whose)
