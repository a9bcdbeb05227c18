"""The host of the attacks: cuts the patches, hands out the loss, holds the budget, puts the change into the photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins.api import Attack, Budget, Change, Face, Loss, Pixels, PluginError
from uncnn.plugins.engine.batch import PATCH_PX, FaceBatch, cut, enlarged, together
from uncnn.plugins.engine.flow import displaced, folds
from uncnn.plugins.engine.joint import joint
from uncnn.plugins.engine.overlap import beside, share
from uncnn.plugins.engine.targets import AttackTarget
from uncnn.plugins.geometry import Region, region_of
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

OnStep = Callable[[int, int], None]
"""Called with the number of gradient steps done and how many there are."""

UNTARGETED = AttackTarget()

COLOURLESS_255 = 3  # channels that differ by no more are rounding: a black-and-white photo that was stored in colour


@dataclass(frozen=True, slots=True)
class FaceInPhoto:
    """One face, and the photo that it is in."""

    photo: Pixels  # (H, W, 3)
    face: Face
    seed: int  # of the photo
    grey: bool = False  # a grey photo gets a grey change
    beside: tuple[Face, ...] = ()  # the faces that are cloaked too and touch its region: `overlap.beside`
    earlier: tuple[Patch, ...] = ()  # what was done to those of them that are not in the batch


@dataclass(frozen=True, slots=True)
class Patch:
    """What is done to one face: held inside its budget, not yet in the photo."""

    region: Region
    change: Tensor  # (3, P, P) grey levels
    limits: Tensor  # (1, P, P) bound of any one channel, grey levels
    flow: Tensor | None = None  # (2, P, P) patch pixels
    eyes_px: float = 1.0  # between the eyes, patch pixels


@dataclass(frozen=True, slots=True)
class PerturbationNorms:
    """How large a face's change is in the photo."""

    largest_255: float  # L-infinity, of any channel, grey levels; of what was added, not of what was moved
    mean_255: float  # mean absolute over the face's square
    flow: float = 0.0  # largest displacement, as a share of the distance between the eyes


def perturb(
    photo: Pixels,
    faces: Sequence[Face],
    attack: Attack,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    seed: int,
    grey: bool = False,
    target: AttackTarget = UNTARGETED,
    on_step: OnStep | None = None,
) -> list[Patch]:
    """Return what `attack` does to each of `faces` in `photo` (H, W, 3), held inside `budget`: `perturb_all`."""
    near = beside(faces)
    faces_in_photos = [FaceInPhoto(photo, face, seed, grey, others) for face, others in zip(faces, near, strict=True)]
    return perturb_all(faces_in_photos, attack, surrogates, budget, target, on_step)


def perturb_all(
    faces_in_photos: Sequence[FaceInPhoto],
    attack: Attack,
    surrogates: Sequence[Recogniser],
    budget: Budget,
    target: AttackTarget = UNTARGETED,
    on_step: OnStep | None = None,
) -> list[Patch]:
    """Return what `attack` does to each face, held inside `budget`.

    The faces of any photos are one batch; each depends on itself, its photo's seed, and where those beside it are.

    Raises:
        PluginError: the attack returned a wrong type, a wrong shape, values that are not finite or a flow that folds.
        TargetError: the target or the objective is not to be had.
    """
    device = str(surrogates[0].mean.device)
    regions = [region_of(np.array(face_in_photo.face.landmarks), PATCH_PX) for face_in_photo in faces_in_photos]
    batch = together(
        [
            _cut(face_in_photo, region, budget, device)
            for face_in_photo, region in zip(faces_in_photos, regions, strict=True)
        ]
    )
    inputs = together([batch])  # a copy: what the attack writes into it moves neither the bounds nor the photo
    loss = target.loss(surrogates, inputs)
    if on_step is not None:
        loss = replace(loss, on_step=_counted(on_step, budget.steps))
    change = held(
        attack.perturb(inputs, _joint(loss, faces_in_photos, regions, inputs), budget), batch, type(attack).__name__
    )
    bounds = batch.luma_limits + 1.772 * batch.chroma_limits
    flows = (
        [None] * len(regions) if change.flow is None else [flow if bool(flow.any()) else None for flow in change.flow]
    )
    return [Patch(*parts) for parts in zip(regions, change.pixels, bounds, flows, batch.eyes.tolist(), strict=True)]


def _joint(loss: Loss, faces_in_photos: Sequence[FaceInPhoto], regions: Sequence[Region], batch: FaceBatch) -> Loss:
    """Return the loss with which faces that overlap are seen together; `loss` itself where none do."""
    ties = [
        (own, other)
        for own, one in enumerate(faces_in_photos)
        for other, two in enumerate(faces_in_photos)
        if one.photo is two.photo and two.face in one.beside
    ]
    earlier = [[(patch.change, patch.region) for patch in face_in_photo.earlier] for face_in_photo in faces_in_photos]
    return joint(loss, batch.patches, regions, ties, earlier)


def _counted(on_step: OnStep, steps: int) -> Callable[[], None]:
    done = count(1)
    return lambda: on_step(min(next(done), steps), steps)


def _cut(face_in_photo: FaceInPhoto, region: Region, budget: Budget, device: str) -> FaceBatch:
    is_grey = face_in_photo.grey or is_colourless(face_in_photo.photo[region.clipped(*face_in_photo.photo.shape[:2])])
    own = replace(budget, chroma=0.0, colour=0.0) if is_grey else budget
    batch = cut(face_in_photo.photo, [face_in_photo.face], [region], own, face_in_photo.seed, device)
    part = share(face_in_photo.face, face_in_photo.beside, region, PATCH_PX, device)
    return batch if part is None else batch.bounded(part)


def is_colourless(pixels: Pixels) -> bool:
    """Return whether `pixels` (H, W, 3) are a black-and-white picture, whatever it was stored as."""
    return bool(np.ptp(pixels, axis=2).max(initial=0) <= COLOURLESS_255)


def held(change: object, batch: FaceBatch, name: str) -> Change:
    """Return what an attack returned, inside the budget. Raises PluginError."""
    if not isinstance(change, Change):
        raise PluginError(f"attack {name} returned {type(change).__name__}: return a Change")
    count, _, height, width = batch.patches.shape
    _check(change.pixels, (count, 3, height, width), f"attack {name} returned pixels")
    if change.flow is None:
        return Change(batch.valid(change.pixels.detach().to(batch.patches)))
    _check(change.flow, (count, 2, height, width), f"attack {name} returned a flow")
    flow = batch.valid_flow(change.flow.detach().to(batch.patches))
    if bool(folds(flow).any()):
        raise PluginError(f"attack {name} returned a flow that folds the face over itself: make it smoother")
    return Change(batch.moved(flow).valid(change.pixels.detach().to(batch.patches)), flow)


def _check(tensor: object, expected: tuple[int, ...], what: str) -> None:
    shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
    if not isinstance(tensor, Tensor) or shape != expected:
        raise PluginError(f"{what} of shape {shape}: return {expected}")
    if not bool(torch.isfinite(tensor).all()):
        raise PluginError(f"{what} that are not finite: the photo is not changed")


def compose(photo: Pixels, patches: Sequence[Patch]) -> tuple[Pixels, list[PerturbationNorms]]:
    """Return `photo` with each patch's pixels moved, its change added, and rounded; all others stay as they are."""
    return add(moved(photo, patches), patches)


def moved(photo: Pixels, patches: Sequence[Patch]) -> Pixels:
    """Return `photo` with each patch's pixels moved and nothing added; `photo` itself where no patch moves any."""
    if all(patch.flow is None for patch in patches):
        return photo
    result = photo.copy()
    for patch in patches:
        _move(result, patch)
    return result


def add(photo: Pixels, patches: Sequence[Patch]) -> tuple[Pixels, list[PerturbationNorms]]:
    """Return `photo`, as `moved` returns it, with each patch's change added, and rounded."""
    result = photo.copy()
    return result, [_add(result, photo, patch) for patch in patches]


def _move(moved: Pixels, patch: Patch) -> None:
    """Move the pixels of one patch in place; where patches overlap, one after another."""
    if patch.flow is None:
        return
    region = patch.region
    rows, columns = region.clipped(*moved.shape[:2])
    inside = region.local(rows, columns)
    flow = enlarged(patch.flow, region)[:, *inside] * (region.side / patch.flow.shape[2])
    picture = torch.from_numpy(moved[rows, columns]).permute(2, 0, 1)[None].to(flow)
    taken = displaced(picture, flow[None])[0].permute(1, 2, 0).cpu().numpy()
    moved[rows, columns] = np.clip(np.rint(taken), 0, 255).astype(np.uint8)


def _add(result: Pixels, moved: Pixels, patch: Patch) -> PerturbationNorms:
    """Add one patch to `result` in place; patches that overlap have shared the bound, and add up."""
    region = patch.region
    rows, columns = region.clipped(*moved.shape[:2])
    inside = region.local(rows, columns)
    wanted = enlarged(patch.change, region)[:, *inside].permute(1, 2, 0).cpu().numpy()
    bound = enlarged(patch.limits, region)[0][inside].cpu().numpy()[..., None]
    before = moved[rows, columns].astype(np.float32)
    already = result[rows, columns].astype(np.float32)
    result[rows, columns] = np.clip(np.rint(already + np.clip(wanted, -bound, bound)), 0, 255).astype(np.uint8)
    added = np.abs(result[rows, columns] - before)
    length = 0.0 if patch.flow is None else float(torch.linalg.vector_norm(patch.flow, dim=0).max())
    largest, mean = (float(added.max(initial=0)), float(added.mean())) if added.size else (0.0, 0.0)
    return PerturbationNorms(largest, mean, length / patch.eyes_px)
