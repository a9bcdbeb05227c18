"""Which faces a policy leaves alone, because of whose they are. In doubt a face is cloaked.

Only judges are asked. All of them must agree before a face is left alone: that it is an enrolled person's where all but
those are cloaked, that it is nobody's who is enrolled where only those are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.daemon.people.store import People, Person
from uncnn.plugins.api import Face
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

Who: TypeAlias = Literal["all", "all-but-enrolled", "only-enrolled"]


Embed: TypeAlias = Callable[[OnnxRecogniser, Sequence[Face]], npt.NDArray[np.float32]]
"""A judge's embeddings of faces of a photo, (N, D)."""


def spared(
    who: Who, people: People, judges: Sequence[OnnxRecogniser], far: float, embed: Embed, faces: Sequence[Face]
) -> list[bool]:
    """Return for each face of a photo whether it is left alone. Where nobody is enrolled, none is."""
    if who == "all" or not people.people or not faces or not judges:
        return [False] * len(faces)
    embedded = [(judge, embed(judge, faces)) for judge in judges]
    return [
        _left_alone(who, people, [(judge, own[number]) for judge, own in embedded], far) for number in range(len(faces))
    ]


def _left_alone(
    who: Who, people: People, embedded: Sequence[tuple[OnnxRecogniser, npt.NDArray[np.float32]]], far: float
) -> bool:
    if who == "all-but-enrolled":
        return any(all(matches(person, *one, far) is True for one in embedded) for person in people.people)
    return all(matches(person, *one, far) is False for person in people.people for one in embedded)


def matches(person: Person, judge: OnnxRecogniser, embedding: npt.NDArray[np.float32], far: float) -> bool | None:
    """Return whether a judge takes the face for this person's; None where it was not asked when they were enrolled."""
    card = judge.card
    for template in person.templates:
        if (template.recogniser, template.sha256) == (card.name, card.sha256) and template.embeddings:
            known = np.array(template.embeddings, dtype=np.float32)
            alike = compare(card, known, np.broadcast_to(embedding, known.shape))
            return any(card.matches(float(value), far) for value in alike)
    return None
