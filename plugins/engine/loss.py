"""The loss that attacks minimise: how well the surrogates still link a changed face to the person."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.engine.batch import FaceBatch
from uncnn.plugins.engine.objectives import RIGHT_ANGLE, Cosine, CrossEntropy, Objective
from uncnn.plugins.engine.oracle import Oracle
from uncnn.plugins.engine.pullback import pull_back
from uncnn.plugins.engine.views import View, draw_view
from uncnn.plugins.recognisers.torch_recogniser import Frame, Recogniser

CHUNK = 8  # faces a pass through a recogniser: bounds memory, and more are hardly faster on a CPU


@dataclass(frozen=True, slots=True)
class EnsembleLoss:
    """Mean over the surrogates of the score of each one's objective (`uncnn.plugins.api.Loss`)."""

    surrogates: Sequence[Recogniser]
    faces: FaceBatch
    objectives: Sequence[Objective]  # a surrogate each
    oracle: Callable[[], Oracle]  # made when the first decision is asked for
    candidates: Sequence[Tensor] = ()  # a surrogate each: (N, K, D), unit: what the faces may be moved to
    on_step: Callable[[], None] | None = None  # told of every gradient and every decision
    seconds: dict[int, float] = field(default_factory=dict, compare=False)
    """Of a core, that each surrogate took last: the longest begins first, so that no core is idle at the end."""

    @property
    def targets(self) -> int:
        """Return how many identities are on offer to move to."""
        return self.candidates[0].shape[1] if self.candidates else 0

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        """Return the loss of each face, (N,), at the views of `step`."""
        return self.losses(inputs, step, 0)[0]

    def losses(self, inputs: Tensor, step: int, targets: int) -> list[Tensor]:
        """Return the loss of each face, (N,), and after it that toward each of the first `targets`."""
        view = self._view(step)
        seen = view.show(inputs)
        crops = self._crops(seen, view)
        scores = [
            _scores(surrogate, objectives, crops[surrogate.frame])
            for surrogate, objectives in zip(self.surrogates, self._objectives(targets), strict=True)
        ]
        return [torch.stack(each).mean(dim=0) for each in zip(*scores, strict=True)]

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        """Return each face's own gradient, (N, 3, P, P).

        On a CPU each core has a surrogate at a time; faces go in chunks, so memory does not grow with their number.
        """
        return self.gradients(inputs, step, 0)[0]

    def gradients(self, inputs: Tensor, step: int, targets: int) -> list[Tensor]:
        """Return each face's own gradient, (N, 3, P, P), and after it that toward each of the first `targets`."""
        chunks = [slice(start, start + CHUNK) for start in range(0, len(inputs), CHUNK)]
        gradients = [self._part(chunk)._gradients(inputs[chunk], step, targets) for chunk in chunks]
        self._tell()
        return [torch.cat(each) for each in zip(*gradients, strict=True)]

    def toward(self, target: int | Tensor) -> EnsembleLoss:
        """Return the loss that is low where the faces are taken for a target: one number, or (N,), each face's own."""
        return replace(self, objectives=self._toward(target))

    def linked(self, inputs: Tensor) -> Tensor:
        """Return whether a surrogate still links each face to its person, (N,) bool."""
        self._tell()
        return self.oracle().linked(inputs)

    def _tell(self) -> None:
        if self.on_step is not None:
            self.on_step()

    def _toward(self, target: int | Tensor) -> list[Objective]:
        faces = torch.arange(len(self.faces.patches), device=self.faces.patches.device)
        return [Cosine(known[faces, target], sign=-1.0) for known in self.candidates]

    def _objectives(self, targets: int) -> list[tuple[Objective, ...]]:
        """Return for each surrogate its own objective, and those toward the first `targets`."""
        return list(zip(self.objectives, *(self._toward(target) for target in range(targets)), strict=True))

    def _part(self, chunk: slice) -> EnsembleLoss:
        return replace(
            self,
            faces=self.faces.part(chunk),
            objectives=[objective.part(chunk) for objective in self.objectives],
            candidates=[known[chunk] for known in self.candidates],
        )

    def _view(self, step: int) -> View:
        faces = self.faces
        return draw_view(faces.points, faces.units, faces.seeds, step, faces.side, faces.patches.device)

    def _crops(self, seen: Tensor, view: View) -> dict[Frame, Tensor]:
        """Return the aligned crops of `seen` in each frame that a surrogate asks for: most ask for the same."""
        by_frame = {surrogate.frame: surrogate for surrogate in self.surrogates}
        return {frame: view.turn(each.crops(seen, view.landmarks)) for frame, each in by_frame.items()}

    def _gradients(self, inputs: Tensor, step: int, targets: int) -> list[Tensor]:
        objectives, view = self._objectives(targets), self._view(step)
        with torch.enable_grad():
            leaf = inputs.detach().requires_grad_()
            crops = self._crops(view.show(leaf), view)

        def one(number: int) -> list[Tensor]:
            began, surrogate = time.thread_time(), self.surrogates[number]
            with torch.enable_grad():
                own = crops[surrogate.frame].detach().requires_grad_()
                totals = [scores.sum() for scores in _scores(surrogate, objectives[number], own)]
                found = [torch.autograd.grad(total, own, retain_graph=total is not totals[-1])[0] for total in totals]
            self.seconds[number] = time.thread_time() - began
            return found

        mapped = cores().map if inputs.device.type == "cpu" else map
        numbers = sorted(range(len(self.surrogates)), key=lambda number: -self.seconds.get(number, 0.0))
        found = dict(zip(numbers, mapped(one, numbers), strict=True))
        gradients: list[Tensor] = []
        for which in range(1 + targets):
            totals = {frame: torch.zeros_like(crop) for frame, crop in crops.items()}
            for number, surrogate in enumerate(self.surrogates):
                totals[surrogate.frame] += found[number][which] / len(self.surrogates)
            gradients += pull_back(list(crops.values()), [leaf], list(totals.values()), which < targets)
        return gradients


def _scores(surrogate: Recogniser, objectives: Sequence[Objective], crops: Tensor) -> list[Tensor]:
    """Return the score of each objective, (N,), of the faces whose aligned crops these are."""
    outputs = surrogate.outputs(crops)
    unit = functional.normalize(outputs, dim=1)
    return [objective.score(outputs if objective.raw else unit) for objective in objectives]


@functools.cache
def cores() -> ThreadPoolExecutor:
    """Return a thread a core, each with one surrogate at a time.

    The networks are small: two threads on two of them take 60 % of the time of two threads on one after the other.
    """
    return ThreadPoolExecutor(os.cpu_count() or 1, "surrogate", initializer=_one_core)


def _one_core() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # of this thread; numbers near zero are up to 35 times slower otherwise


def untargeted(surrogates: Sequence[Recogniser], faces: FaceBatch, candidates: Sequence[Tensor] = ()) -> EnsembleLoss:
    """Return the untargeted loss: away from the embedding of the clean face, to where a stranger's is."""
    objectives = [Cosine(own, floor=RIGHT_ANGLE) for own in embeddings(surrogates, faces)]
    return EnsembleLoss(surrogates, faces, objectives, _oracle(surrogates, faces), candidates)


def closed_set(
    surrogates: Sequence[Recogniser],
    faces: FaceBatch,
    gallery: Sequence[Tensor],
    target: int | None = None,
    candidates: Sequence[Tensor] = (),
) -> EnsembleLoss:
    """Return the loss over the identities of a gallery, a surrogate each: (I, D), unit prototypes.

    A face's own identity is the one that the surrogates together take it for. Away from that, or toward `target`.
    """
    own = torch.stack(
        [known @ prototypes.T for known, prototypes in zip(embeddings(surrogates, faces), gallery, strict=True)]
    )
    labels = own.mean(dim=0).argmax(dim=1) if target is None else torch.full((len(faces.patches),), target)
    sign = -1.0 if target is None else 1.0
    objectives = [CrossEntropy(labels.to(known.device), known, sign) for known in gallery]
    return EnsembleLoss(surrogates, faces, objectives, _oracle(surrogates, faces), candidates)


def _oracle(surrogates: Sequence[Recogniser], faces: FaceBatch) -> Callable[[], Oracle]:
    return functools.cache(lambda: Oracle(surrogates, faces))


@torch.no_grad()
def embeddings(surrogates: Sequence[Recogniser], faces: FaceBatch) -> list[Tensor]:
    """Return each surrogate's unit embeddings, (N, D), of the clean patches."""
    chunks = [faces.part(slice(start, start + CHUNK)) for start in range(0, len(faces.patches), CHUNK)]
    return [torch.cat([surrogate.embed(part.patches, part.points) for part in chunks]) for surrogate in surrogates]
