"""Fawkes as its authors' program has it, and the rewrite that calls itself version 2.

Shan, Wenger, Zhang, Li, Zheng, Zhao, "Fawkes: protecting privacy against unauthorized deep learning models", USENIX
Security 2020, and the settings of the program, 1.0; version 2: github.com/hedgeho/fawkes, as its README describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from onepass import Portrait
from peers_faces import Person, Square, away, composed, portraits_in, squares_of
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.api import Pixels
from uncnn.plugins.engine.loss import EnsembleLoss, embeddings
from uncnn.plugins.engine.patches import PATCH_PX
from uncnn.plugins.geometry import Region
from uncnn.plugins.perception.similarity import dssim
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

SIDE: Final = 112  # of the box's crop, pixels
NEARLY_ONE: Final = 2 - 1e-6  # so that no pixel is at an end of the tanh
PRICE: Final = 1e7  # of what DSSIM is beyond its threshold, squared
FARTHEST_255: Final = 15.0  # a pixel's change at most, grey levels
SLACK: Final = 0.1  # of the threshold
MOST: Final = 129.0  # how far the weight of the features may rise, or fall

Box = tuple[int, int, int, int]  # left, top, right, bottom in patch pixels


@dataclass(frozen=True, slots=True)
class Fawkes1:
    """Away from the clean face in the box's crop: tanh space, Adadelta, a price on DSSIM beyond a threshold.

    The weight of the features doubles while DSSIM is a tenth below the threshold and halves while it is a tenth above
    it; the best crop within a tenth of it is kept. Where no step is, the photo stays clean.
    """

    dissimilarity: float
    steps: int
    rate: float

    def cloak(self, people: Sequence[Person], attacked: Sequence[Recogniser]) -> list[Pixels]:
        """Return the cloaked photos, person by person."""
        portraits = portraits_in(people)
        regions, faces = squares_of(portraits, FARTHEST_255)
        boxes = [_box(portrait, region) for portrait, region in zip(portraits, regions, strict=True)]
        faces.luma_limits[:] = torch.cat([_whole(box) for box in boxes]) * FARTHEST_255
        pixels = self._descend(faces, boxes, away(attacked, faces), _lengths(attacked, faces))
        return list(composed(portraits, regions, faces, pixels))

    def _descend(self, faces: Square, boxes: Sequence[Box], loss: EnsembleLoss, lengths: Tensor) -> Tensor:
        """Return the best change, (N, 3, P, P); `lengths` (N,) are of the features, in all models together."""
        scale = 2 * lengths  # squared distance / length, of two of one length: that times 1 - cosine
        clean = torch.cat([_cropped(faces.patches[[number]], box) for number, box in enumerate(boxes)])
        centre = torch.atanh((clean / 255 - 0.5) * NEARLY_ONE)
        modifier = (1e-4 * faces.noise(0)[..., :SIDE, :SIDE]).requires_grad_()
        descent = torch.optim.Adadelta([modifier], lr=self.rate, rho=0.95, eps=1e-7)
        weight, last = clean.new_ones(len(boxes)), clean.new_zeros(len(boxes))
        best, farthest = torch.zeros_like(faces.patches), clean.new_zeros(len(boxes))
        for step in range(self.steps):
            with torch.enable_grad():
                shown = (torch.tanh(centre + modifier) / NEARLY_ONE + 0.5) * 255
                shown = clean + (shown - clean).clamp(-FARTHEST_255, FARTHEST_255)
                seen = dssim(shown, clean)
                change = torch.cat([_placed(shown[[n]] - clean[[n]], box) for n, box in enumerate(boxes)])
                inputs = (faces.patches + change.detach()).clamp(0, 255)
                slope = (scale * weight)[:, None, None, None] * loss.gradient(inputs, 0)
                price = PRICE * (seen - self.dissimilarity).clamp(min=0).square()
                (gradient,) = torch.autograd.grad((change * slope).sum() + price.sum(), modifier)
            with torch.no_grad():
                distance = scale * (1 - loss(inputs, 0))
                better = (seen <= (1 + SLACK) * self.dissimilarity) & (distance > farthest)
                farthest = torch.where(better, distance, farthest)
                best = torch.where(better[:, None, None, None], change, best)
                weight, last = self._weighed(seen.detach(), weight, last)
                modifier.grad = gradient
                descent.step()
                if step == 0:  # at the clean face itself the slope says little
                    modifier -= 0.01 * gradient.sign()
        return best

    def _weighed(self, seen: Tensor, weight: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weight of the features of the next step, (N,), and on which side of the threshold it is."""
        below = (seen <= (1 - SLACK) * self.dissimilarity) & (weight <= MOST)
        above = (seen >= (1 + SLACK) * self.dissimilarity) & (weight >= 1 / MOST) & ~below
        side = below.to(weight) - above.to(weight)
        moved = torch.where(below, 2 * weight, torch.where(above, weight / 2, torch.ones_like(weight)))
        return torch.where(side * last < 0, torch.ones_like(weight), moved), side


@dataclass(frozen=True, slots=True)
class Toward:
    """1 less the cosine to a target, and what is left of the cosine to the own clean embedding."""

    target: Tensor  # (N, D), unit
    own: Tensor  # (N, D), unit
    residual: float
    raw: bool = False

    def score(self, outputs: Tensor) -> Tensor:
        """Return the score of each face, (N,), from unit embeddings (N, D)."""
        left = (outputs * self.own).sum(dim=1).clamp(min=0)
        return 1 - (outputs * self.target).sum(dim=1) + self.residual * left

    def part(self, faces: slice) -> Toward:
        """Return the objective of some of the faces."""
        return Toward(self.target[faces], self.own[faces], self.residual)


@dataclass(frozen=True, slots=True)
class Fawkes2:
    """Toward a target and off the own face, by Adam on pixels, in views: one step in three sees no view.

    The views are those that every attack here has (moved, blurred, resized, compressed). The recipe does not say in
    what unit colour is priced: here it is the root mean square of Cb and Cr, 0..1. No face stops early.
    """

    steps: int = 60
    epsilon_255: float = 24.0
    rate: float = 2.0  # grey levels
    residual: float = 1.0
    dissimilarity: float = 0.012
    price: float = 100.0  # of a unit of DSSIM beyond that
    colour: float = 30.0
    target: str = "a photo"  # or "a person": all of a person's photos go toward what the first one would

    def cloak(self, people: Sequence[Person], attacked: Sequence[Recogniser]) -> list[Pixels]:
        """Return the cloaked photos, person by person."""
        portraits = portraits_in(people)
        regions, faces = squares_of(portraits, self.epsilon_255)
        loss = away(attacked, faces, "synthetic", still=False)
        own = embeddings(attacked, faces)
        goes = list(range(len(portraits)))
        if self.target == "a person":
            goes = firsts(people)
        pairs = zip(loss.candidates, own, strict=True)
        objectives = [Toward(targets[goes, 0], clean, self.residual) for targets, clean in pairs]
        loss = EnsembleLoss(attacked, faces, objectives, loss.oracle)
        return list(composed(portraits, regions, faces, self._descend(faces, loss)))

    def _descend(self, faces: Square, loss: EnsembleLoss) -> Tensor:
        pixels = torch.zeros_like(faces.patches)
        descent = torch.optim.Adam([pixels.requires_grad_()], lr=self.rate)
        for step in range(self.steps):
            held = faces.valid(pixels.detach())
            pixels.grad = loss.gradient(faces.patches + held, step if step % 3 else 0) + self._price(faces, held)
            descent.step()
            with torch.no_grad():
                pixels.copy_(faces.valid(pixels))
        return pixels.detach()

    def _price(self, faces: Square, pixels: Tensor) -> Tensor:
        """Return the gradient, (N, 3, P, P), of what is to be seen."""
        inside = faces.luma_limits > 0
        with torch.enable_grad():
            own = pixels.requires_grad_()
            excess = (dssim(faces.patches, faces.patches + own) - self.dissimilarity).clamp(min=0)
            luma = own.mul(own.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
            tints = torch.cat([(own[:, 2:] - luma) / 1.772, (own[:, :1] - luma) / 1.402], dim=1) / 255
            squares = tints.square().sum(dim=(1, 2, 3)) / (2 * inside.sum(dim=(1, 2, 3)))
            total = self.price * excess + self.colour * (squares + 1e-10).sqrt()
            return torch.autograd.grad(total.sum(), own)[0]


def firsts(people: Sequence[Person]) -> list[int]:
    """Return for each photo the number of its person's first one among all."""
    numbers: list[int] = []
    for person in people:
        numbers += [len(numbers)] * len(person.judged)
    return numbers


@torch.no_grad()
def _lengths(attacked: Sequence[Recogniser], faces: Square) -> Tensor:
    """Return how long the outputs of all networks for each clean face are together, (N,)."""
    outputs = [each.outputs(each.crops(faces.patches, faces.points)) for each in attacked]
    return torch.stack([each.norm(dim=1) for each in outputs]).sum(dim=0)


def _box(portrait: Portrait, region: Region) -> Box:
    """Return the detector's box of a face in the patch, cut to it."""
    scale = PATCH_PX / region.side
    corner = (region.left, region.top) * 2
    ends = [round((value - start) * scale) for value, start in zip(portrait.face.box, corner, strict=True)]
    left, top, right, bottom = (min(max(end, 0), PATCH_PX) for end in ends)
    return left, top, right, bottom


def _whole(box: Box) -> Tensor:
    """Return 1 in the box and 0 around it, (1, 1, P, P)."""
    left, top, right, bottom = box
    inside = torch.zeros(1, 1, PATCH_PX, PATCH_PX)
    inside[..., top:bottom, left:right] = 1
    return inside


def _cropped(patch: Tensor, box: Box) -> Tensor:
    """Return the box of a patch (1, 3, P, P) at the program's size, (1, 3, SIDE, SIDE)."""
    left, top, right, bottom = box
    inside = patch[..., top:bottom, left:right]
    return functional.interpolate(inside, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)


def _placed(change: Tensor, box: Box) -> Tensor:
    """Return a change of the crop, (1, 3, SIDE, SIDE), where the box is in the patch, (1, 3, P, P)."""
    left, top, right, bottom = box
    sized = functional.interpolate(change, (bottom - top, right - left), mode="bilinear", align_corners=False)
    return functional.pad(sized, (left, PATCH_PX - right, top, PATCH_PX - bottom))
