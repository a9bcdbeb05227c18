"""Who has collected photos of a person some of which are cloaked, and meets one more cloaked photo.

Of each person's photos a share, drawn at random, stands in the gallery as cloaked, the rest as clean. Each cloaked
photo in turn is held out of it and looked up. It is drawn `DRAWS` times, and the answers are averaged.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from uncnn.daemon.evaluate.adversaries import Codes, Judge, closeness, unit
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings

SHARES: Final = (0.25, 0.5, 0.75)
"""Of a person's photos in the gallery that are cloaked."""

DRAWS: Final = 4


def mixed_galleries(
    judge: Judge, cloaked: Embeddings, clean: Embeddings, people: Codes, distractors: Embeddings | None, share: float
) -> tuple[Floats, Floats]:
    """Return for each cloaked photo, (N,), how often it is linked and how often it is found, over the draws.

    Linked: to any of its person's photos in the gallery, at the judge's threshold. Found: the mean of these photos is
    closer than the mean of any other person's, and than each distractor (rank 1 by mean prototype). NaN where a photo
    is not there, or its person has no other.
    """
    strangers = np.full(len(people), -np.inf)
    if distractors is not None and len(distractors):
        strangers = closeness(judge.metric, cloaked, distractors).max(axis=1)
    answers = [
        _looked_up(
            judge, cloaked, _drawn(cloaked, clean, people, share, np.random.default_rng(draw)), people, strangers
        )
        for draw in range(DRAWS)
    ]
    linked, found = np.mean(answers, axis=0)
    return linked, found


def _drawn(
    cloaked: Embeddings, clean: Embeddings, people: Codes, share: float, random: np.random.Generator
) -> Embeddings:
    """Return what stands in the gallery of each photo, (N, D): of each person's, a share is cloaked, one at least."""
    gallery, able = clean.copy(), _there(cloaked)
    for person in np.unique(people):
        own = np.flatnonzero(people == person)
        count = min(max(round(share * len(own)), 1), len(own) - 1)
        chosen = random.permutation(own[able[own]])[:count]
        gallery[chosen] = cloaked[chosen]
    return gallery


def _looked_up(
    judge: Judge, cloaked: Embeddings, gallery: Embeddings, people: Codes, strangers: Floats
) -> tuple[Floats, Floats]:
    """Return for each photo, (N,), whether it is linked and whether it is found in one gallery; NaN: not asked."""
    linked, found = np.full(len(people), np.nan), np.full(len(people), np.nan)
    there, asked = _there(gallery), ~np.isnan(cloaked[:, 0])
    faces = gallery.astype(np.float64)
    faces = unit(faces) if judge.metric == "cosine" else faces
    names = [person for person in np.unique(people) if there[people == person].any()]
    prototypes = np.stack([faces[there & (people == person)].mean(axis=0) for person in names])
    near = closeness(judge.metric, cloaked, prototypes.astype(np.float32))
    for number, person in enumerate(people):
        others = there & (people == person)
        others[number] = False
        if not asked[number] or not others.any():
            continue
        probe = cloaked[number : number + 1]
        linked[number] = closeness(judge.metric, probe, gallery[others]).max() >= judge.least
        own = closeness(judge.metric, probe, faces[others].mean(axis=0, keepdims=True).astype(np.float32))[0, 0]
        foreign = near[number, [name != person for name in names]].max(initial=strangers[number])
        found[number] = own > foreign
    return linked, found


def _there(embeddings: Embeddings) -> npt.NDArray[np.bool_]:
    """Return which rows, (N,), are of a photo that there is and that shows a face."""
    squares = np.einsum("nd,nd->n", embeddings, embeddings)
    there: npt.NDArray[np.bool_] = squares > 0  # which NaN is not
    return there
