"""A batch of face patches and the bound of every pixel in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from uncnn.plugins import geometry
from uncnn.plugins.api import Budget, Face
from uncnn.plugins.engine.backdrop import backdrop
from uncnn.plugins.engine.flow import displaced
from uncnn.plugins.engine.patches import PATCH_PX, CutFace, inside_of
from uncnn.plugins.perception import contrast
from uncnn.plugins.perception.contrast import Bands
from uncnn.plugins.perception.pixel_bounds import (
    bound_chroma_and_luma,
    bound_rms,
    luma_of,
    pixel_limits,
    rms_limits,
    window,
)


@dataclass(frozen=True, slots=True)
class FaceBatch:
    """Face patches on one device, as attacks see them (`uncnn.plugins.api.Faces`)."""

    patches: Tensor  # (N, 3, P, P) float32 RGB in 0..255; black where the photo ends
    points: geometry.Floats  # (N, 5, 2) landmarks in patch pixels
    units: geometry.Floats  # (N,) patch pixels to an ArcFace-112 pixel
    luma_limits: Tensor  # (N, 1, P, P) grey levels
    chroma_limits: Tensor  # (N, 1, P, P) grey levels
    flow_limits: Tensor  # (N, 1, P, P) patch pixels
    seeds: list[int]
    rms_limits: Tensor | None = None  # (N, 1, P, P) grey levels
    bands: Bands | None = None  # what each band of spatial frequencies may have

    @property
    def side(self) -> int:
        """Return P."""
        return self.patches.shape[3]

    @property
    def landmarks(self) -> Tensor:
        """Return the five points of each face, (N, 5, 2) in patch pixels."""
        return torch.from_numpy(self.points).to(self.patches)

    @property
    def eyes(self) -> geometry.Floats:
        """Return the distance between the eyes of each face, (N,) patch pixels."""
        distances: geometry.Floats = np.linalg.norm(self.points[:, 0] - self.points[:, 1], axis=1)
        return distances

    def valid(self, pixels: Tensor) -> Tensor:
        """Return the nearest change inside the budget and inside 0..255, (N, 3, P, P)."""
        bounded = pixels if self.bands is None else self.bands.held(pixels)
        bounded = bound_chroma_and_luma(bounded, self.luma_limits, self.chroma_limits)
        if self.rms_limits is not None:
            bounded = bound_rms(bounded, self.rms_limits)
        return torch.minimum(torch.maximum(bounded, -self.patches), 255 - self.patches)

    def valid_flow(self, flow: Tensor) -> Tensor:
        """Return `flow` (N, 2, P, P), shortened where it is longer than it may be."""
        length = torch.linalg.vector_norm(flow, dim=1, keepdim=True).clamp(min=1e-6)
        return flow * torch.minimum(self.flow_limits / length, torch.ones_like(length))

    def moved(self, flow: Tensor) -> FaceBatch:
        """Return the faces with their pixels moved by `flow` (N, 2, P, P) patch pixels."""
        return replace(self, patches=displaced(self.patches, flow))

    def noise(self, stream: int) -> Tensor:
        """Return (N, 3, P, P) uniform in -1..1 from each face's own seed."""
        shape = tuple(self.patches.shape[1:])
        drawn = [np.random.default_rng((seed, stream, 1)).random(shape, dtype=np.float32) for seed in self.seeds]
        return torch.from_numpy(np.stack(drawn)).to(self.patches.device) * 2 - 1

    def bounded(self, share: Tensor) -> FaceBatch:
        """Return the faces with less than their bounds: `share` (N, 1, P, P) of them, in 0..1."""
        luma, chroma, flow = self.luma_limits * share, self.chroma_limits * share, self.flow_limits * share
        rms = None if self.rms_limits is None else self.rms_limits * share
        bands = None if self.bands is None else self.bands.bounded(share)
        return replace(self, luma_limits=luma, chroma_limits=chroma, flow_limits=flow, rms_limits=rms, bands=bands)

    def part(self, faces: slice) -> FaceBatch:
        """Return the batch of some of the faces."""
        return FaceBatch(
            self.patches[faces],
            self.points[faces],
            self.units[faces],
            self.luma_limits[faces],
            self.chroma_limits[faces],
            self.flow_limits[faces],
            self.seeds[faces],
            None if self.rms_limits is None else self.rms_limits[faces],
            None if self.bands is None else self.bands.part(faces),
        )


def bounded(face: CutFace, budget: Budget, device: str) -> FaceBatch:
    """Return the patch of a face with the bounds that `budget` gives it."""
    scale = PATCH_PX / face.region.side
    corner = np.array([face.region.left, face.region.top], dtype=np.float64)
    points = (np.array([face.face.landmarks], dtype=np.float64) - corner + 0.5) * scale - 0.5
    patches = torch.from_numpy(face.square)[None].to(device)
    inside = torch.from_numpy(inside_of(face.size, face.region))[None].to(device)
    seeds = [_face_seed(face.seed, face.face)]
    return bounded_batch(patches, inside, points, [1 / scale], face.size, budget, seeds)


def bounded_batch(
    patches: Tensor,
    inside: Tensor,
    points: geometry.Floats,
    scales: Sequence[float],
    size: tuple[int, int],
    budget: Budget,
    seeds: list[int],
) -> FaceBatch:
    """Return `patches` (N, 3, P, P) in 0..255 with the bounds that `budget` gives them.

    `inside` (N, 1, P, P) is how much of each pixel lies in the photo, `points` (N, 5, 2) where the landmarks are,
    patch pixels; `scales` how many pixels of the photo a patch pixel is, `size` the photo's height and width.
    """
    device = str(patches.device)
    to_template = geometry.similarities(points, geometry.ARCFACE_112)
    windows = torch.cat([window(matrix, patches.shape[3], device) for matrix in to_template])
    units = 1 / np.hypot(to_template[:, 0, 0], to_template[:, 1, 0])
    may = windows * (1 - backdrop(patches, inside > 0.999, to_template)) * (inside > 0.999)
    luma = pixel_limits(luma_of(patches), budget) * may
    rms = rms_limits(luma, budget)
    chroma, bands = luma * budget.chroma, None
    if budget.visibility:
        most = may * budget.visibility
        bands = contrast.bands_of(patches, most, scales, list(units), size, budget.colour, budget.contrast)
        limits = bands.limits()
        luma, chroma = (torch.minimum(each, limits) for each in (luma, chroma))
    eyes = np.linalg.norm(points[:, 0] - points[:, 1], axis=1)
    flow = _each(eyes * budget.flow, device) * windows
    return FaceBatch(patches, points, units, luma, chroma, flow, seeds, rms, bands)


def _each(values: geometry.Floats, device: str) -> Tensor:
    """Return a number a face, (N,), as (N, 1, 1, 1) float32, to go with its pixels."""
    return torch.from_numpy(values.astype(np.float32)).to(device).view(-1, 1, 1, 1)


def together(batches: Sequence[FaceBatch]) -> FaceBatch:
    """Return the faces of several batches as one; all have the same budget."""
    rms = [batch.rms_limits for batch in batches if batch.rms_limits is not None]
    bands = [batch.bands for batch in batches if batch.bands is not None]
    return FaceBatch(
        torch.cat([batch.patches for batch in batches]),
        np.concatenate([batch.points for batch in batches]),
        np.concatenate([batch.units for batch in batches]),
        torch.cat([batch.luma_limits for batch in batches]),
        torch.cat([batch.chroma_limits for batch in batches]),
        torch.cat([batch.flow_limits for batch in batches]),
        [seed for batch in batches for seed in batch.seeds],
        torch.cat(rms) if rms else None,
        contrast.together(bands) if bands else None,
    )


def _face_seed(seed: int, face: Face) -> int:
    """Return a seed that depends on the photo and on where the face is, not on the other faces."""
    place = [round(10 * value) & 0xFFFFFFFF for value in face.box]
    return int(np.random.SeedSequence((seed, *place)).generate_state(1)[0])
