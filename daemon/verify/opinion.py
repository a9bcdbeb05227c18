"""A second opinion on what a detector takes for a face: whether recognisers read it as they read people.

A detector that finds faces in poor light finds them on terriers too. Recognisers were trained on people: the embedding
of an animal lies far from that of any person. `human_faces.npz` has, for each of `RECOGNISERS`, the plane between the
two (Fisher's linear discriminant): a statistic of 1,200 people and of no one. `benchmarks/opinion.py` makes it,
`benchmarks/looks.py` measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.sessions import Provider

RECOGNISERS: Final = ("openvino-0095", "mobilefacenet-foamliu", "esp-mfn")
PLANES: Final = Path(__file__).parent / "human_faces.npz"

Kind: TypeAlias = Literal["human", "animal"]  # or a thing

DISMISSED: Final = -0.2  # of the way from people, 1, to animals, -1: what lies beyond is taken for an animal
DISMISSED_ASIDE: Final = -0.9  # the same of a large face that is seen from the side or cut by the photo's border
FAINTLY_HUMAN: Final = 0.0  # a face that the detector hardly sees must be more like people than that, to count
IN_PROFILE: Final = 0.5  # distances between the eyes by which the nose lies beside their middle
NARROW: Final = 0.2  # of the face's size: eyes that are nearer are seen from the side
BORDER_PX: Final = 1.0
READABLE_PX: Final = 64.0  # recognisers take one in eight of the smaller faces of crowds for no person

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plane:
    """One recogniser, and the plane between its embeddings of people and of animals."""

    recogniser: OnnxRecogniser
    weights: Floats  # (D + 1,)
    shift: float

    def sides(self, photo: Pixels, landmarks: Floats) -> Floats:
        """Return for each face, (N, 5, 2), on which side it lies, (N,): 1 as people do on average, -1 as animals."""
        sides: Floats = described(self.recogniser.embed(photo, landmarks)) @ self.weights + self.shift
        return sides


@dataclass(frozen=True, slots=True)
class Opinion:
    """Recognisers that are asked whether a face is human; where there is none, every face is."""

    planes: tuple[Plane, ...]

    @classmethod
    def of(cls, recognisers: Sequence[OnnxRecogniser]) -> Opinion:
        """Return the opinion of those of `recognisers` whose planes are known."""
        known = planes()
        asked = [each for each in recognisers if each.card.sha256 in known]
        return cls(tuple(Plane(each, *known[each.card.sha256]) for each in asked))

    def kinds(self, photo: Pixels, faces: Sequence[Face], sure: float) -> list[Kind]:
        """Return for each face what it is to be taken for.

        Where the detector is `sure` of one, by its score, doubt speaks for it: a face that is small is human, and one
        that is seen from the side or cut by the photo's border, which recognisers hardly read, unless it is far from
        people. One that the detector hardly sees must look human.
        """
        if not self.planes or not faces:
            return ["human"] * len(faces)
        landmarks = np.array([face.landmarks for face in faces], np.float64)
        sides = np.mean([plane.sides(photo, landmarks) for plane in self.planes], axis=0)
        return [
            ("human" if side >= FAINTLY_HUMAN else "animal") if face.score < sure else _kind(face, side, photo.shape)
            for face, side in zip(faces, map(float, sides), strict=True)
        ]


def _kind(face: Face, side: float, shape: tuple[int, ...]) -> Kind:
    if face.size_px < READABLE_PX:
        return "human"
    return "human" if side >= (DISMISSED if is_readable(face, shape) else DISMISSED_ASIDE) else "animal"


def described(embeddings: npt.NDArray[np.float32]) -> Floats:
    """Return what a plane is laid through, (N, D + 1): each embedding's direction and the logarithm of its length."""
    lengths = np.maximum(np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True), 1e-6)
    return np.concatenate([embeddings / lengths, 0.3 * np.log(lengths)], axis=1)


def is_readable(face: Face, shape: tuple[int, ...]) -> bool:
    """Return whether a recogniser can read a face: it is large enough, seen from the front, and whole."""
    points = np.array(face.landmarks)
    across = points[1] - points[0]
    eyes = max(float(np.linalg.norm(across)), 1e-6)
    aside = abs(float((points[2] - points[:2].mean(axis=0)) @ across)) / eyes**2
    x0, y0, x1, y1 = face.box
    inside = min(x0, y0) > BORDER_PX and x1 < shape[1] - 1 - BORDER_PX and y1 < shape[0] - 1 - BORDER_PX
    from_front = aside < IN_PROFILE and eyes > NARROW * face.size_px
    return inside and from_front and face.size_px >= READABLE_PX


def opinion_of(recognisers: Sequence[OnnxRecogniser], providers: Sequence[Provider]) -> Opinion:
    """Return the opinion of recognisers that are loaded, or where some that give one are not among them, of our own."""
    opinion = Opinion.of(recognisers)
    return opinion if len(opinion.planes) == len(RECOGNISERS) else load_opinion(providers)


def load_opinion(providers: Sequence[Provider]) -> Opinion:
    """Return the opinion of the recognisers that come with uncnn."""
    return Opinion.of([OnnxRecogniser.load(EMBEDDED / name, providers) for name in RECOGNISERS])


@cache
def planes() -> dict[str, tuple[Floats, float]]:
    """Return the weights and the shift of each plane, by the sha256 of its recogniser's `model.onnx`."""
    with np.load(PLANES) as file:
        return {name: (file[name][:-1], float(file[name][-1])) for name in file.files}
