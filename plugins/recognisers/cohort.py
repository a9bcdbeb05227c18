"""How near a face comes to somebody, beyond how near it comes to anybody.

A *closeness* is a cosine, or a distance below zero, so that more is always more alike. Some faces are close to many
people: what counts is the *lead*, the closeness less that to the nearest of a cohort of strangers (test normalisation
with the nearest of a cohort: Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent speaker
verification systems", Digital Signal Processing 2000; Cumani et al., "Comparison of speaker recognition approaches for
real applications", Interspeech 2011). For one face a lead is its closeness moved by a number: the order of names stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from uncnn.plugins.geometry import Floats

LEVEL_OF: Final = 20  # nearest of the cohort


@dataclass(frozen=True, slots=True)
class Cohort:
    """Strangers whom nobody is taken for: how near a face comes to the nearest of them is its level."""

    embeddings: Floats  # (C, D)
    euclidean: bool

    def levels(self, faces: Floats) -> Floats:
        """Return the level of each of `faces`, (N, D): (N,)."""
        near = closeness(faces, self.embeddings, euclidean=self.euclidean)
        levels: Floats = np.partition(near, -LEVEL_OF, axis=1)[:, -LEVEL_OF:].mean(axis=1)
        return levels

    def leads(self, faces: Floats, templates: Floats) -> Floats:
        """Return the lead of each of `templates`, (M, D), for each of `faces`, (N, D): (N, M)."""
        return closeness(faces, templates, euclidean=self.euclidean) - self.levels(faces)[:, None]


def closeness(embeddings: Floats, templates: Floats, *, euclidean: bool) -> Floats:
    """Return how close each of `embeddings`, (N, D), is to each of `templates`, (M, D): (N, M)."""
    if not euclidean:
        lengths = np.linalg.norm(embeddings, axis=1)[:, None] * np.linalg.norm(templates, axis=1)
        cosines: Floats = embeddings @ templates.T / lengths
        return cosines
    squares = np.sum(embeddings**2, axis=1)[:, None] + np.sum(templates**2, axis=1) - 2 * embeddings @ templates.T
    near: Floats = -np.sqrt(np.maximum(squares, 0))
    return near


def template(embeddings: Floats, *, euclidean: bool) -> Floats:
    """Return what stands for a person, (D,), of the embeddings of their photos, (N, D): their mean.

    Where they are compared by cosine, the mean direction; a photo counts as any other.
    """
    rows = embeddings if euclidean else embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    mean: Floats = rows.mean(axis=0)
    return mean
