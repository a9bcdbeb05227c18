"""The host of the attacks: hands out the loss, holds the budget. What it is given and gives back: `patches`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import torch
from torch import Tensor

from uncnn.plugins.api import Attack, Budget, Change, Face, Loss, Pixels, PluginError
from uncnn.plugins.engine.batch import FaceBatch, bounded, together
from uncnn.plugins.engine.flow import folds
from uncnn.plugins.engine.joint import joint
from uncnn.plugins.engine.overlap import share
from uncnn.plugins.engine.patches import PATCH_PX, CutFace, FaceInPhoto, Patch, cut_faces
from uncnn.plugins.engine.targets import AttackTarget
from uncnn.plugins.geometry import beside
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

OnStep = Callable[[int, int], None]
"""Called with the number of gradient steps done and how many there are."""

UNTARGETED = AttackTarget()


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
    """Return what `attack` does to each face, held inside `budget`: `perturb_cut`."""
    return perturb_cut(cut_faces(faces_in_photos), attack, surrogates, budget, target, on_step)


def perturb_cut(
    faces: Sequence[CutFace],
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
    batch = together([_with_bounds(face, budget, device) for face in faces])
    inputs = together([batch])  # a copy: what the attack writes into it moves neither the bounds nor the photo
    loss = target.loss(surrogates, inputs)
    if on_step is not None:
        loss = replace(loss, on_step=_counted(on_step, budget.steps))
    change = held(attack.perturb(inputs, _joint(loss, faces, inputs), budget), batch, type(attack).__name__)
    bounds = (batch.luma_limits + 1.772 * batch.chroma_limits).cpu().numpy()
    pixels = change.pixels.cpu().numpy()
    flows = None if change.flow is None else change.flow.cpu().numpy()
    return [
        Patch(
            face.region,
            pixels[number],
            bounds[number],
            flows[number] if flows is not None and flows[number].any() else None,
            float(batch.eyes[number]),
        )
        for number, face in enumerate(faces)
    ]


def _joint(loss: Loss, faces: Sequence[CutFace], batch: FaceBatch) -> Loss:
    """Return the loss with which faces that overlap are seen together; `loss` itself where none do."""
    ties = [
        (own, other)
        for own, one in enumerate(faces)
        for other, two in enumerate(faces)
        if one.photo == two.photo and two.face in one.beside
    ]
    earlier = [[(torch.from_numpy(change), region) for change, region in face.earlier] for face in faces]
    return joint(loss, batch.patches, [face.region for face in faces], ties, earlier)


def _counted(on_step: OnStep, steps: int) -> Callable[[], None]:
    done = count(1)
    return lambda: on_step(min(next(done), steps), steps)


def _with_bounds(face: CutFace, budget: Budget, device: str) -> FaceBatch:
    own = replace(budget, chroma=0.0, colour=0.0) if face.grey else budget
    batch = bounded(face, own, device)
    part = share(face.face, face.beside, face.region, PATCH_PX, device)
    return batch if part is None else batch.bounded(part)


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
