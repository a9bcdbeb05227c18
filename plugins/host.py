"""The host of the attacks: cuts the patches, hands out the loss, holds the budget, puts the change into the photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins import objective
from uncnn.plugins.api import Attack, Budget, Change, Face, Pixels, PluginError
from uncnn.plugins.batch import PATCH_PX, FaceBatch, cut, enlarged
from uncnn.plugins.geometry import Region, region_of
from uncnn.plugins.recogniser import Recogniser

OnStep = Callable[[int, int], None]
"""Called with the number of gradient steps done and how many there are."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What is added to one face: held inside its budget, not yet in the photo."""

    region: Region
    change: Tensor  # (3, P, P) grey levels
    limits: Tensor  # (1, P, P) bound of any one channel, grey levels


@dataclass(frozen=True, slots=True)
class Spent:
    """What a face's change came to in the photo, grey levels."""

    largest_255: float  # of any channel
    mean_255: float  # mean absolute over the face's square


def perturb(
    photo: Pixels,
    faces: Sequence[Face],
    attack: Attack,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    seed: int,
    grey: bool = False,
    on_step: OnStep | None = None,
) -> list[Patch]:
    """Return what `attack` adds to each of `faces` in `photo` (H, W, 3), held inside `budget`.

    All faces are one batch; each depends on `seed` and on itself alone. A `grey` photo gets a grey change.

    Raises:
        PluginError: the attack returned a wrong type, a wrong shape or values that are not finite.
    """
    regions = [region_of(np.array(face.landmarks), PATCH_PX) for face in faces]
    spent = replace(budget, chroma=0.0) if grey else budget
    batch = cut(photo, faces, regions, spent, seed, str(surrogates[0].mean.device))
    pixels = _held(attack, batch, surrogates, spent, seed, on_step)
    bounds = batch.luma_limits * (1 + 1.772 * spent.chroma)
    return [Patch(*parts) for parts in zip(regions, pixels, bounds, strict=True)]


def compose(photo: Pixels, patches: Sequence[Patch]) -> tuple[Pixels, list[Spent]]:
    """Return `photo` with the change of every patch added and rounded; all other pixels stay as they are."""
    result = photo.copy()
    return result, [_add(result, photo, patch) for patch in patches]


def _held(
    attack: Attack,
    batch: FaceBatch,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    seed: int,
    on_step: OnStep | None,
) -> Tensor:
    """Run the attack and return its change inside the budget, (N, 3, P, P) grey levels."""
    targeted = getattr(attack, "target", "none") == "synthetic"
    loss = objective.toward_synthetic(surrogates, batch, seed) if targeted else objective.away(surrogates, batch)
    if on_step is not None:
        loss = replace(loss, on_step=lambda step: on_step(step + 1, budget.steps))
    change = attack.perturb(batch, loss, budget)
    name = type(attack).__name__
    if not isinstance(change, Change):
        raise PluginError(f"attack {name} returned {type(change).__name__}: return a Change")
    if change.pixels.shape != batch.patches.shape:
        expected = tuple(batch.patches.shape)
        raise PluginError(f"attack {name} returned pixels of shape {tuple(change.pixels.shape)}: return {expected}")
    if not bool(torch.isfinite(change.pixels).all()):
        raise PluginError(f"attack {name} returned pixels that are not finite: the photo is not changed")
    return batch.valid(change.pixels.detach().to(batch.patches))


def _add(result: Pixels, photo: Pixels, patch: Patch) -> Spent:
    """Add one patch to `result` in place; where patches overlap, the sum stays inside the wider of the two bounds."""
    region = patch.region
    rows, columns = region.clipped(*photo.shape[:2])
    inside = region.local(rows, columns)
    wanted = enlarged(patch.change, region)[:, *inside].permute(1, 2, 0).cpu().numpy()
    bound = enlarged(patch.limits, region)[0][inside].cpu().numpy()[..., None]
    before = photo[rows, columns].astype(np.float32)
    already = result[rows, columns] - before
    widest = np.maximum(bound, np.abs(already))
    total = np.clip(already + wanted, -widest, widest)
    result[rows, columns] = np.clip(np.rint(before + total), 0, 255).astype(np.uint8)
    spent = np.abs(result[rows, columns] - before)
    return Spent(float(spent.max(initial=0)), float(spent.mean()) if spent.size else 0.0)
