"""Whether photos show one person: found out before anybody is enrolled, since a stranger among them would go bare.

Two photos show the same person where more than half of the recognisers link them at a false accept rate of 1e-3. Years
and light keep single pairs apart, so a photo belongs to a person where a chain of such pairs leads to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from uncnn.daemon.people.store import Template
from uncnn.plugins.recognisers.cards import Card, compare

FAR: Final = 1e-3


def groups(templates: Sequence[Template], cards: Mapping[str, Card]) -> list[list[int]]:
    """Return the photos that `templates` were made from, by their places, person by person: most photos first.

    `cards` are those of the recognisers, by the hash of the model.
    """
    number = max(len(template.embeddings) for template in templates)
    links = np.sum([_links(template, cards[template.sha256]) for template in templates], axis=0)
    same = links > len(templates) / 2
    found: list[list[int]] = []
    left = set(range(number))
    while left:
        group, waiting = [], [min(left)]
        while waiting:
            photo = waiting.pop()
            if photo in left:
                left.remove(photo)
                group.append(photo)
                waiting += [other for other in left if same[photo, other]]
        found.append(sorted(group))
    return sorted(found, key=len, reverse=True)


def _links(template: Template, card: Card) -> np.ndarray:
    """Return which pairs of photos, (N, N), one recogniser links."""
    embeddings = np.array(template.embeddings, dtype=np.float32)
    rows = [compare(card, embeddings, np.broadcast_to(one, embeddings.shape)) for one in embeddings]
    return np.array([[card.matches(float(value), FAR) for value in row] for row in rows], dtype=np.int64)
