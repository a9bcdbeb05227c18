"""Embeddings and similarities of the faces of an unchanged photo: made once, however many copies of it are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.daemon.photos import reencode
from uncnn.daemon.verify.places import Landmarks
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.recognisers.cards import Embeddings, compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

Likeness: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Similarities:
    """The embeddings of the faces of one photo, and how like them each face is in views of the same photo."""

    photo: Pixels  # (H, W, 3) uint8 RGB
    embedded: dict[tuple[str, Face], npt.NDArray[np.float32]] = field(default_factory=dict)
    alike: dict[tuple[str, str, Face], float] = field(default_factory=dict)

    def embed(self, recogniser: OnnxRecogniser, faces: Sequence[Face]) -> Embeddings:
        """Return the embeddings of `faces`, (N, D); only those that were not asked for before are made."""
        name = recogniser.card.name
        new = [face for face in dict.fromkeys(faces) if (name, face) not in self.embedded]
        if new:
            self.embedded.update(
                zip([(name, face) for face in new], recogniser.embed(self.photo, landmarks(new)), strict=True)
            )
        return np.stack([self.embedded[name, face] for face in faces])

    def before(self, recognisers: Sequence[OnnxRecogniser], faces: Sequence[Face], view: str) -> list[Likeness]:
        """Return how like itself each recogniser finds each face in a view of the unchanged photo, (N,) each."""
        names = [recogniser.card.name for recogniser in recognisers]
        new = [face for face in dict.fromkeys(faces) if any((name, view, face) not in self.alike for name in names)]
        if new:
            reencoded, there = reencode(self.photo, view), landmarks(new)
            for recogniser in recognisers:
                found = compare(recogniser.card, self.embed(recogniser, new), recogniser.embed(reencoded, there))
                self.alike.update(
                    zip([(recogniser.card.name, view, face) for face in new], map(float, found), strict=True)
                )
        return [np.array([self.alike[name, view, face] for face in faces]) for name in names]


def landmarks(faces: Sequence[Face]) -> Landmarks:
    """Return the landmarks of `faces`, (N, 5, 2) in photo pixels."""
    return np.array([face.landmarks for face in faces], dtype=np.float64).reshape(-1, 5, 2)
