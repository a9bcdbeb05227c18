"""Whom one recogniser takes one face for: names with how sure it may be of each, and how likely it is none of them.

Before anything is seen the face is somebody's in the gallery with a chance of one in two, anybody's of them alike, so
that the more names there are the less a score says (open-set identification; Grother and Ngan, NIST IR 8009, 2014).
Scores are no chances: each has a likelihood ratio, from pairs of one person and of two, and Bayes' rule makes of these
the chance of every name. A softmax over similarities would have to name somebody.

A cloaked face is like nobody, also like its person, so that who trusts its score is sure that it is none of them. Who
knows of cloaks has ratios for cloaked faces, and reckons that one cloak in twenty does nothing: a copy that is nearer
to somebody than cloaked faces are is named as any photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from uncnn.daemon.explain.explained import FALSE_NAMES, Candidate, Identification
from uncnn.daemon.explain.gallery import Gallery
from uncnn.plugins.geometry import Floats

IN_GALLERY: Final = 0.5
"""The chance that a face is somebody's in the gallery, before it is looked at."""

SHOWN: Final = 5

FAILED: Final = 0.05
"""The chance that a copy is as a photo that is not cloaked, before it is looked at."""


@dataclass(frozen=True, slots=True)
class Chances:
    """What is known of several faces."""

    closeness: Floats  # (N, size)
    names: Floats  # (N, size)
    nobody: Floats  # (N,)
    first: npt.NDArray[np.intp]  # (N,), who is likeliest: of equally likely ones the nearest
    named: (
        npt.NDArray[np.bool_] | None
    )  # (N,), whether the likeliest of them is near enough; None: that was not calibrated


def identify(gallery: Gallery, embedding: Floats, *, cloaked: bool) -> Identification:
    """Return whom a recogniser takes a face for; `embedding`, (D,), is its own.

    `cloaked`: how sure one may be who knows that the face may be cloaked.
    """
    found = chances(gallery, embedding[None], cloaked=cloaked)
    near = gallery.closeness(embedding[None])[0][0] if found is None else found.closeness[0]
    order = np.lexsort((-near, -(near if found is None else found.names[0])))[:SHOWN].tolist()
    candidates = tuple(
        Candidate(
            *gallery.name(place),
            float(near[place] if gallery.card.metric == "cosine" else -near[place]),
            None if found is None else float(found.names[0, place]),
        )
        for place in order
    )
    if found is None:
        return Identification(candidates, None, None, None)
    rest = float(1 - found.nobody[0] - found.names[0, order].sum())
    named = None if found.named is None else bool(found.named[0])
    unaware = chances(gallery, embedding[None], cloaked=False) if cloaked else None
    return Identification(
        candidates,
        max(rest, 0.0),
        float(found.nobody[0]),
        named,
        None if unaware is None else float(unaware.nobody[0]),
    )


def chances(gallery: Gallery, embeddings: Floats, *, cloaked: bool) -> Chances | None:
    """Return the chance of everybody in a gallery for each of `embeddings`, (N, D); None: it was not calibrated."""
    confidence = gallery.card.confidence
    if confidence is None or not gallery.size:
        return None
    near, levels = gallery.closeness(embeddings)
    leads = near - levels[:, None]
    ratios = _ratios(gallery, leads, cloaked=cloaked) + np.log(IN_GALLERY / gallery.size)
    highest = np.maximum(ratios.max(axis=1), 0.0)
    names = np.exp(ratios - highest[:, None])
    nobody = (1 - IN_GALLERY) * np.exp(-highest)
    total = nobody + names.sum(axis=1)
    first = np.where(names == names.max(axis=1, keepdims=True), near, -np.inf).argmax(axis=1)
    named = None
    if confidence.nearest is not None:
        # people of several photos are nearer to everybody: what they are worth in photos of one is compared
        least = confidence.curve(1, False).at(np.array(confidence.nearest.threshold(FALSE_NAMES, gallery.size)))
        ordinary = _ratios(gallery, leads, cloaked=False)
        named = ordinary[np.arange(len(near)), first] >= least
    return Chances(near, names / total[:, None], nobody / total, first, named)


def _ratios(gallery: Gallery, leads: Floats, *, cloaked: bool) -> Floats:
    """Return the logarithm of each name's likelihood ratio, (N, size)."""
    confidence = gallery.card.confidence
    assert confidence is not None  # `chances`
    photos = [*gallery.photos, *[1] * len(gallery.strangers)]
    ratios = np.empty_like(leads)
    for number in set(photos):
        own = np.array(photos) == number
        ratios[:, own] = confidence.curve(number, False).at(leads[:, own])
        if cloaked:
            expected = confidence.curve(number, True).at(leads[:, own])
            ratios[:, own] = np.logaddexp(expected + np.log1p(-FAILED), ratios[:, own] + np.log(FAILED))
    return ratios
