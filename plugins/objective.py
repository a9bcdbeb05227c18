"""The loss that attacks minimise: how well the surrogates still link a changed face to the person."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins.batch import FaceBatch
from uncnn.plugins.recogniser import Recogniser
from uncnn.plugins.views import View, draw_view

CHUNK = 8  # faces a pass through a recogniser: bounds memory, and more are hardly faster on a CPU


@dataclass(frozen=True, slots=True)
class EnsembleLoss:
    """Mean over the surrogates of the cosine to an anchor: the face's own clean embedding, or a target's.

    Away from the own embedding (`sign` 1) the plain cosine is minimised, with no clamp at 0; toward a target (`sign`
    -1) it is maximised.
    """

    surrogates: Sequence[Recogniser]
    faces: FaceBatch
    anchors: Sequence[Tensor]  # a surrogate each: (N, D), unit
    sign: float = 1.0
    on_step: Callable[[int], None] | None = None  # told of every gradient step

    def __call__(self, pixels: Tensor, step: int) -> Tensor:
        """Return the loss of each face, (N,), at the views of `step`."""
        view = self._view(step)
        seen = view.show(self.faces.patches + pixels)
        pairs = zip(self.surrogates, self.anchors, strict=True)
        return self.sign * torch.stack([_cosine(*pair, seen, view) for pair in pairs]).mean(dim=0)

    def gradient(self, pixels: Tensor, step: int) -> Tensor:
        """Return each face's own gradient, (N, 3, P, P).

        On a CPU each core has a surrogate at a time; faces go in chunks, so memory does not grow with their number.
        """
        chunks = [slice(start, start + CHUNK) for start in range(0, len(pixels), CHUNK)]
        gradients = [self._part(chunk)._gradient(pixels[chunk], step) for chunk in chunks]
        if self.on_step is not None:
            self.on_step(step)
        return torch.cat(gradients)

    def _part(self, chunk: slice) -> EnsembleLoss:
        anchors = [anchor[chunk] for anchor in self.anchors]
        return EnsembleLoss(self.surrogates, self.faces.part(chunk), anchors, self.sign)

    def _view(self, step: int) -> View:
        faces = self.faces
        return draw_view(faces.points, faces.units, faces.seeds, step, faces.side, faces.patches.device)

    def _gradient(self, pixels: Tensor, step: int) -> Tensor:
        view = self._view(step)
        with torch.enable_grad():
            leaf = pixels.detach().requires_grad_()
            seen = view.show(self.faces.patches + leaf)

        def one(surrogate: Recogniser, anchor: Tensor) -> Tensor:
            with torch.enable_grad():
                shown = seen.detach().requires_grad_()
                return torch.autograd.grad(_cosine(surrogate, anchor, shown, view).sum(), shown)[0]

        mapped = _cores().map if pixels.device.type == "cpu" else map
        total = torch.stack(list(mapped(one, self.surrogates, self.anchors))).sum(dim=0)
        return torch.autograd.grad(seen, leaf, total * (self.sign / len(self.surrogates)))[0]


def _cosine(surrogate: Recogniser, anchor: Tensor, seen: Tensor, view: View) -> Tensor:
    """Return the cosines, (N,), of the faces of `seen` to a surrogate's anchors."""
    return (surrogate.embed(seen, view.landmarks) * anchor).sum(dim=1)


@functools.cache
def _cores() -> ThreadPoolExecutor:
    """Return a thread a core, each with one surrogate at a time.

    The networks are small: two threads on two of them take 60 % of the time of two threads on one after the other.
    """
    return ThreadPoolExecutor(os.cpu_count() or 1, "surrogate", initializer=_one_core)


def _one_core() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # of this thread; numbers near zero are up to 35 times slower otherwise


def away(surrogates: Sequence[Recogniser], faces: FaceBatch) -> EnsembleLoss:
    """Return the untargeted loss: away from what each surrogate makes of the clean face."""
    return EnsembleLoss(surrogates, faces, embeddings(surrogates, faces))


def toward_synthetic(surrogates: Sequence[Recogniser], faces: FaceBatch, identities: Sequence[int]) -> EnsembleLoss:
    """Return the targeted loss: toward a synthetic identity, a fixed random direction of each surrogate's sphere.

    No person has that embedding, so no stranger is framed. `identities` are a number for each face; the same number
    gives the same direction.
    """
    anchors = [
        torch.stack([_direction(identity, number, surrogate.card.embedding) for identity in identities])
        for number, surrogate in enumerate(surrogates)
    ]
    return EnsembleLoss(surrogates, faces, [anchor.to(faces.patches.device) for anchor in anchors], sign=-1.0)


def _direction(identity: int, surrogate: int, length: int) -> Tensor:
    """Return a unit vector (D,) that `identity` draws for a surrogate."""
    random = np.random.default_rng((identity, surrogate, length))
    direction = torch.from_numpy(random.normal(size=length).astype(np.float32))
    unit: Tensor = direction / direction.norm()
    return unit


@torch.no_grad()
def embeddings(surrogates: Sequence[Recogniser], faces: FaceBatch) -> list[Tensor]:
    """Return each surrogate's unit embeddings, (N, D), of the clean patches."""
    chunks = [faces.part(slice(start, start + CHUNK)) for start in range(0, len(faces.patches), CHUNK)]
    return [torch.cat([surrogate.embed(part.patches, part.points) for part in chunks]) for surrogate in surrogates]
