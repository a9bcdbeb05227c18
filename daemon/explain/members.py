"""The people that a face may be taken for: those who are enrolled, and others that the user names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uncnn.daemon.people.store import People


@dataclass(frozen=True, slots=True)
class Member:
    """A person that the user named."""

    name: str
    embeddings: Mapping[str, list[list[float]]]  # a photo each, by the sha256 of the recogniser's model


def enrolled(people: People) -> list[Member]:
    """Return the enrolled people."""
    return [
        Member(person.name, {each.sha256: each.embeddings for each in person.templates}) for person in people.people
    ]
