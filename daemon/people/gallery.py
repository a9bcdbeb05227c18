"""The enrolled people as a closed set that attacks may be run against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uncnn.daemon.people.store import People, Person
from uncnn.plugins.engine.targets import Gallery


def gallery(people: People) -> Gallery:
    """Return a prototype of each person for each recogniser that all of them were shown to."""
    shown = [{template.sha256 for template in person.templates} for person in people.people]
    known = set.intersection(*shown) if shown else set()
    return Gallery(
        tuple(person.name for person in people.people),
        {sha256: np.stack([_prototype(person, sha256) for person in people.people]) for sha256 in known},
        frozenset(person.name for person in people.people if person.consented is not None),
    )


def _prototype(person: Person, sha256: str) -> npt.NDArray[np.float32]:
    """Return the mean direction, (D,), of one recogniser's embeddings of a person's photos."""
    template = next(each for each in person.templates if each.sha256 == sha256)
    units = np.array(template.embeddings, dtype=np.float32)
    mean = (units / np.linalg.norm(units, axis=1, keepdims=True)).mean(axis=0)
    direction: npt.NDArray[np.float32] = mean / np.linalg.norm(mean)
    return direction
