"""Everybody whom a face may be taken for: people that the user named, and strangers who do not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uncnn.daemon.explain.explanation import Kind
from uncnn.daemon.people.store import People
from uncnn.exporters.calibration.strangers import COHORT_SEED, read_statistics
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Card
from uncnn.plugins.recognisers.cohort import Cohort, closeness, template


@dataclass(frozen=True, slots=True)
class Member:
    """A person that the user named."""

    name: str
    embeddings: Mapping[str, list[list[float]]]  # a photo each, by the sha256 of the recogniser's model


@dataclass(frozen=True, slots=True)
class Gallery:
    """Everybody, as one recogniser knows them: the people first, then the strangers."""

    card: Card
    names: tuple[str, ...]  # of the people
    photos: tuple[int, ...]  # that each is known from
    people: Floats  # (P, D), one template each
    strangers: Floats  # (S, D)
    cohort: Cohort | None  # other strangers, who are nobody here; None: the recogniser was not calibrated
    unknown: tuple[str, ...] = ()  # who were enrolled when this recogniser was not asked

    @property
    def size(self) -> int:
        """Return how many there are."""
        return len(self.names) + len(self.strangers)

    def name(self, place: int) -> tuple[str, Kind]:
        """Return who stands at a place, and whether that is a person."""
        known = len(self.names)
        return (self.names[place], "person") if place < known else (f"stranger {place - known + 1}", "stranger")

    def closeness(self, embeddings: Floats) -> tuple[Floats, Floats]:
        """Return how close each of `embeddings`, (N, D), is to everybody, (N, size), and its level, (N,)."""
        near = closeness(embeddings, self.people, euclidean=self.card.metric == "euclidean")
        if self.cohort is None or self.card.confidence is None:
            return near, np.zeros(len(embeddings))
        levels = self.cohort.levels(embeddings)
        drawn = self.cohort.leads(embeddings, self.strangers)
        real = self.card.confidence.strangers.as_real(drawn) + levels[:, None]
        return np.concatenate([near, real], axis=1), levels


def gallery_of(card: Card, folder: Path, members: Sequence[Member]) -> Gallery:
    """Return everybody as the recogniser in `folder` knows them.

    Raises StrangersError: the file that its strangers are drawn from is missing or another.
    """
    known = [member for member in members if member.embeddings.get(card.sha256)]
    rows = [np.array(member.embeddings[card.sha256], dtype=np.float64) for member in known]
    euclidean = card.metric == "euclidean"
    people = [template(each, euclidean=euclidean) for each in rows]
    statistics = read_statistics(folder, card)
    nobody = np.empty((0, card.embedding))
    return Gallery(
        card,
        tuple(member.name for member in known),
        tuple(map(len, rows)),
        np.stack(people) if people else nobody,
        nobody if statistics is None else statistics.drawn(),
        None if statistics is None else Cohort(statistics.drawn(COHORT_SEED), euclidean),
        tuple(member.name for member in members if member not in known),
    )


def enrolled(people: People) -> list[Member]:
    """Return the enrolled people."""
    return [
        Member(person.name, {each.sha256: each.embeddings for each in person.templates}) for person in people.people
    ]
