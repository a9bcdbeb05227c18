"""Who has several cloaked photos of a person: a gallery that grows photo by photo, and an album that votes.

Of a growing gallery: cloaks have to hold against every photo that was published before, and one link is enough. The
album: faces that are known to be one person's, as a profile's are, and the person whom most of them are taken for.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from uncnn.daemon.evaluate.adversaries import Codes, Judge, closeness
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Embeddings

GROWN: Final = (2, 4, 8)
"""Cloaked photos of the person in the gallery. Of one, it is `verification` of cloaked and cloaked photos."""

_NOBODY: Final = -1


def growing(judge: Judge, cloaked: Embeddings, people: Codes, photos: int) -> Floats:
    """Return for each photo, (N,), how often it is linked to any of so many other cloaked photos of its person.

    That is the mean over every choice of them, 0..1, and not over drawn ones. NaN where the person has fewer.
    """
    alike = closeness(judge.metric, cloaked, cloaked)
    others = (people[:, None] == people) & ~np.eye(len(people), dtype=bool) & ~np.isnan(alike)
    there = others.sum(axis=1)
    unlinked = there - ((alike >= judge.least) & others).sum(axis=1)
    missed = np.ones(len(people))
    for taken in range(photos):  # of those left, one more that is not linked
        missed *= np.maximum(unlinked - taken, 0) / np.maximum(there - taken, 1)
    return np.where(there >= photos, 1 - missed, np.nan)


def majority(
    judge: Judge, cloaked: Embeddings, clean: Embeddings, people: Codes, distractors: Embeddings | None
) -> Floats:
    """Return for each photo, (N,), 1 where the cloaked photos of its person together name the person, else 0.

    Each votes for whose clean photo is the closest of all but its own original; a stranger's among the `distractors`
    (M, D) is one vote for that stranger. The person is named by more votes than anybody else has. NaN where a photo is
    not there, or its person has no other.
    """
    votes = _votes(judge, cloaked, clean, people, distractors)
    named = np.full(len(people), np.nan)
    for person in np.unique(people):
        own = people == person
        cast = votes[own & ~np.isnan(cloaked).any(axis=1)]
        if len(cast) > 1:
            counts = {int(each): int((cast == each).sum()) for each in np.unique(cast[cast != _NOBODY])}
            mine = counts.pop(int(person), 0)
            named[own] = mine > max(counts.values(), default=0)
    return np.where(np.isnan(cloaked).any(axis=1), np.nan, named)


def _votes(
    judge: Judge, cloaked: Embeddings, clean: Embeddings, people: Codes, distractors: Embeddings | None
) -> npt.NDArray[np.intp]:
    """Return whose photo each is closest to, (N,): a person's code, one beyond all of them for each distractor.

    `_NOBODY` where the judge finds no face, or compares with none.
    """
    alike = closeness(judge.metric, cloaked, clean)
    np.fill_diagonal(alike, -np.inf)
    names = people
    if distractors is not None and len(distractors):
        alike = np.concatenate([alike, closeness(judge.metric, cloaked, distractors)], axis=1)
        names = np.concatenate([people, people.max() + 1 + np.arange(len(distractors))])
    alike = np.nan_to_num(alike, nan=-np.inf, neginf=-np.inf)
    return np.where(alike.max(axis=1) > -np.inf, names[alike.argmax(axis=1)], _NOBODY)
