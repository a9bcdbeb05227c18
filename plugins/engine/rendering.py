"""Puts what an attack gave back into the photo. numpy alone, so that every machine renders the same to the bit.

Changes of small patches become those of large faces without a lattice of the patch's pixels: cubics of Mitchell,
Netravali, "Reconstruction filters in computer graphics", SIGGRAPH 1988, with C = (1 - B) / 2, the line that the paper
finds best. B is 0 (Catmull-Rom) at the photo's own scale, where it leaves every pixel as it is, and 1 (the cubic
B-spline, which is smooth and never overshoots) from twice that on: between, a lattice is too fine to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uncnn.plugins.api import Pixels
from uncnn.plugins.engine.patches import Patch, Values
from uncnn.plugins.geometry import Region


@dataclass(frozen=True, slots=True)
class PerturbationNorms:
    """How large a face's change is in the photo."""

    largest_255: float  # L-infinity, of any channel, grey levels; of what was added, not of what was moved
    mean_255: float  # mean absolute over the face's square
    flow: float = 0.0  # largest displacement, as a share of the distance between the eyes


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
    flow = enlarged(patch.flow, region)[:, *inside] * np.float32(region.side / patch.flow.shape[2])
    taken = displaced(moved[rows, columns], flow)
    moved[rows, columns] = np.clip(np.rint(taken), 0, 255).astype(np.uint8)


def _add(result: Pixels, moved: Pixels, patch: Patch) -> PerturbationNorms:
    """Add one patch to `result` in place; patches that overlap have shared the bound, and add up."""
    region = patch.region
    rows, columns = region.clipped(*moved.shape[:2])
    inside = region.local(rows, columns)
    wanted = enlarged(patch.change, region)[:, *inside].transpose(1, 2, 0)
    bound = enlarged(patch.limits, region)[0][inside][..., None]
    before = moved[rows, columns].astype(np.float32)
    already = result[rows, columns].astype(np.float32)
    result[rows, columns] = np.clip(np.rint(already + np.clip(wanted, -bound, bound)), 0, 255).astype(np.uint8)
    added = np.abs(result[rows, columns] - before)
    length = 0.0 if patch.flow is None else float(np.hypot(*patch.flow).max())
    largest, mean = (float(added.max(initial=0)), float(added.mean())) if added.size else (0.0, 0.0)
    return PerturbationNorms(largest, mean, length / patch.eyes_px)


def enlarged(change: Values, region: Region) -> Values:
    """Return what a patch has, (C, P, P), on the photo's own pixels, (C, side, side)."""
    if region.side == change.shape[2]:
        return change
    matrix = enlarging(region.side, change.shape[2])
    return np.asarray(matrix @ change @ matrix.T, dtype=np.float32)


def enlarging(side: int, patch_side: int) -> Values:
    """Return the matrix, (side, patch_side), that enlarges a column of pixels; rows sum to 1."""
    scale = side / patch_side
    places = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(scale) - np.float32(0.5)
    distances = np.abs(places[:, None] - np.arange(patch_side, dtype=np.float32))
    weights = cubic(distances, min(max(scale - 1, 0.0), 1.0))
    matrix: Values = weights / weights.sum(axis=1, keepdims=True)
    return matrix


def cubic(distance: Values, b: float) -> Values:
    """Return the weights of pixels at a `distance` of 0 and more (equation 8 of the paper, C = (1 - b) / 2)."""
    c = (1 - b) / 2
    near = (12 - 9 * b - 6 * c) * distance**3 + (-18 + 12 * b + 6 * c) * distance**2 + 6 - 2 * b
    far = (-b - 6 * c) * distance**3 + (6 * b + 30 * c) * distance**2 + (-12 * b - 48 * c) * distance + 8 * b + 24 * c
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0)) / 6
    return weights.astype(np.float32)


def displaced(picture: Pixels, flow: Values) -> Values:
    """Return `picture` (H, W, 3), each pixel taken, bilinearly, from where `flow` (2, H, W), x then y in pixels, says.

    Beyond the border its last pixel goes on. `plugins.engine.flow.displaced` is the same, differentiable.
    """
    height, width = picture.shape[:2]
    xs = np.clip(np.arange(width, dtype=np.float32) + flow[0], 0, width - 1)
    ys = np.clip(np.arange(height, dtype=np.float32)[:, None] + flow[1], 0, height - 1)
    left, top = np.floor(xs).astype(int), np.floor(ys).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (xs - left)[..., None], (ys - top)[..., None]
    upper = picture[top, left] * (1 - across) + picture[top, right] * across
    lower = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    taken: Values = upper * (1 - down) + lower * down
    return taken
