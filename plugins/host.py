"""The host of the attacks: cuts the patches, hands out the loss, holds the budget, puts the change into the photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins import objective
from uncnn.plugins.api import Attack, Budget, Change, Face, Pixels, PluginError
from uncnn.plugins.batch import PATCH_PX, FaceBatch, cut, enlarged, together
from uncnn.plugins.geometry import Region, region_of
from uncnn.plugins.recogniser import Recogniser

OnStep = Callable[[int, int], None]
"""Called with the number of gradient steps done and how many there are."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One face, and the photo that it is in."""

    photo: Pixels  # (H, W, 3)
    face: Face
    seed: int  # of the photo
    grey: bool = False  # a grey photo gets a grey change


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
    """Return what `attack` adds to each of `faces` in `photo` (H, W, 3), held inside `budget`: `perturb_all`."""
    portraits = [Portrait(photo, face, seed, grey) for face in faces]
    return perturb_all(portraits, attack, surrogates, budget, on_step)


def perturb_all(
    portraits: Sequence[Portrait],
    attack: Attack,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    on_step: OnStep | None = None,
) -> list[Patch]:
    """Return what `attack` adds to each face, held inside `budget`.

    The faces of any photos are one batch; each depends on itself and its photo's seed alone.

    Raises:
        PluginError: the attack returned a wrong type, a wrong shape or values that are not finite.
    """
    device = str(surrogates[0].mean.device)
    regions = [region_of(np.array(portrait.face.landmarks), PATCH_PX) for portrait in portraits]
    batch = together(
        [_cut(portrait, region, budget, device) for portrait, region in zip(portraits, regions, strict=True)]
    )
    pixels = _held(attack, batch, surrogates, budget, [portrait.seed for portrait in portraits], on_step)
    bounds = batch.luma_limits + 1.772 * batch.chroma_limits
    return [Patch(*parts) for parts in zip(regions, pixels, bounds, strict=True)]


def _cut(portrait: Portrait, region: Region, budget: Budget, device: str) -> FaceBatch:
    own = replace(budget, chroma=0.0) if portrait.grey else budget
    return cut(portrait.photo, [portrait.face], [region], own, portrait.seed, device)


def compose(photo: Pixels, patches: Sequence[Patch]) -> tuple[Pixels, list[Spent]]:
    """Return `photo` with the change of every patch added and rounded; all other pixels stay as they are."""
    result = photo.copy()
    return result, [_add(result, photo, patch) for patch in patches]


def _held(
    attack: Attack,
    batch: FaceBatch,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    seeds: Sequence[int],
    on_step: OnStep | None,
) -> Tensor:
    """Run the attack and return its change inside the budget, (N, 3, P, P) grey levels.

    The attack works on a copy: what it writes into that moves neither the bounds nor the photo.
    """
    targeted = getattr(attack, "target", "none") == "synthetic"
    shown = together([batch])
    loss = objective.toward_synthetic(surrogates, shown, seeds) if targeted else objective.away(surrogates, shown)
    if on_step is not None:
        loss = replace(loss, on_step=lambda step: on_step(step + 1, budget.steps))
    change = attack.perturb(shown, loss, budget)
    name = type(attack).__name__
    if not isinstance(change, Change):
        raise PluginError(f"attack {name} returned {type(change).__name__}: return a Change")
    if not isinstance(change.pixels, Tensor) or change.pixels.shape != batch.patches.shape:
        expected = tuple(batch.patches.shape)
        raise PluginError(f"attack {name} returned pixels of shape {_shape(change.pixels)}: return {expected}")
    if not bool(torch.isfinite(change.pixels).all()):
        raise PluginError(f"attack {name} returned pixels that are not finite: the photo is not changed")
    return batch.valid(change.pixels.detach().to(batch.patches))


def _shape(pixels: object) -> str:
    return str(tuple(pixels.shape)) if isinstance(pixels, Tensor) else type(pixels).__name__


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
