"""What the methods of other papers work on: the plain square of a face, with the same bound on every channel.

The host's budgets follow what people see, which none of these papers does: here a pixel of the crop may change by
epsilon grey levels in each channel, and no pixel outside of the crop at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch
from onepass import Portrait
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.api import Budget, Pixels
from uncnn.plugins.engine.batch import FaceBatch, bounded, together
from uncnn.plugins.engine.loss import EnsembleLoss
from uncnn.plugins.engine.patches import PATCH_PX, FaceInPhoto, Patch, cut_faces
from uncnn.plugins.engine.rendering import compose
from uncnn.plugins.engine.targets import AttackTarget
from uncnn.plugins.engine.views import View
from uncnn.plugins.geometry import ARCFACE_112, Floats, Region, similarities, transform
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

SIDE_112: Final = 112  # pixels of the aligned crop that LowKey, TIP-IM and OPOM change


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody: the photos that are cloaked, and clean ones that a mask may be made from."""

    name: str
    judged: tuple[Portrait, ...]
    others: tuple[Portrait, ...]


@dataclass(frozen=True, slots=True)
class Square(FaceBatch):
    """Patches whose every channel may change by `luma_limits`, (N, 1, P, P) grey levels."""

    start: float = 1.0  # how large the noise is that a descent begins with, shares of the bound

    def noise(self, stream: int) -> Tensor:
        """Return (N, 3, P, P) uniform in -start..start from each face's own seed."""
        return self.start * FaceBatch.noise(self, stream)

    def valid(self, pixels: Tensor) -> Tensor:
        """Return the nearest change inside the bound and inside 0..255, (N, 3, P, P)."""
        bounded = torch.minimum(torch.maximum(pixels, -self.luma_limits), self.luma_limits)
        return torch.minimum(torch.maximum(bounded, -self.patches), 255 - self.patches)


@dataclass(frozen=True, slots=True)
class Still(EnsembleLoss):
    """The loss as papers have it: every step sees the face as it is, in no views."""

    seen: list[Tensor] = field(default_factory=list, compare=False)
    """The inputs that were last asked about and each surrogate's embeddings: TIP-IM asks ten losses about the same."""

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        """Return the loss of each face, (N,); no gradient comes through."""
        if not self.seen or self.seen[0] is not inputs:
            with torch.no_grad():
                known = [each.embed(inputs, self.faces.points) for each in self.surrogates]
            self.seen[:] = [inputs, *(functional.normalize(each, dim=1) for each in known)]
        pairs = zip(self.objectives, self.seen[1:], strict=True)
        return torch.stack([objective.score(outputs) for objective, outputs in pairs]).mean(dim=0)

    def _view(self, step: int) -> View:
        del step
        return EnsembleLoss._view(self, 0)


def portraits_in(people: Sequence[Person]) -> list[Portrait]:
    """Return the photos that are cloaked, person by person."""
    return [portrait for person in people for portrait in person.judged]


def seed_of(photo: Pixels) -> int:
    """Return a seed that only the photo's content decides."""
    return int.from_bytes(hashlib.sha256(photo.tobytes()).digest()[:4], "big")


def squares_of(portraits: Sequence[Portrait], epsilon_255: float, start: float = 1.0) -> tuple[list[Region], Square]:
    """Return where the squares of the faces are, and them; what may change is the aligned crop of each."""
    faces = cut_faces([FaceInPhoto(each.photo, each.face, seed_of(each.photo)) for each in portraits])
    batch = together([bounded(face, Budget(epsilon_255=epsilon_255), "cpu") for face in faces])
    inside = torch.from_numpy(np.stack([_crop(points) for points in batch.points]))[:, None]
    limits = epsilon_255 * inside.to(batch.patches)
    still = batch.flow_limits * 0
    square = Square(batch.patches, batch.points, batch.units, limits, limits, still, batch.seeds, start=start)
    return [face.region for face in faces], square


def _crop(points: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which pixels of a patch, (P, P), the aligned crop of the face at `points` (5, 2) shows."""
    down, across = np.indices((PATCH_PX, PATCH_PX)).reshape(2, -1)
    places = transform(similarities(points[None], ARCFACE_112), np.stack([across, down], axis=1)[None])[0]
    inside = (places > -0.5) & (places < SIDE_112 - 0.5)
    return np.asarray(inside.all(axis=1).reshape(PATCH_PX, PATCH_PX))


def away(attacked: Sequence[Recogniser], faces: FaceBatch, target: str = "none", still: bool = True) -> EnsembleLoss:
    """Return the papers' loss: the cosine to the own clean embedding, without the floor that ours has."""
    loss = AttackTarget(target).loss(attacked, faces)
    objectives = [replace(objective, floor=None) for objective in loss.objectives]  # type: ignore[type-var]
    return (Still if still else EnsembleLoss)(loss.surrogates, faces, objectives, loss.oracle, loss.candidates)


def composed(
    portraits: Sequence[Portrait], regions: Sequence[Region], faces: Square, pixels: Tensor
) -> Iterator[Pixels]:
    """Yield each photo with the change of its face, (N, 3, P, P) grey levels, in it."""
    held, limits = faces.valid(pixels).numpy(), faces.luma_limits.numpy()
    for number, (portrait, region) in enumerate(zip(portraits, regions, strict=True)):
        yield compose(portrait.photo, [Patch(region, held[number], limits[number])])[0]
