"""A person's universal mask, as OPOM and P3-Mask have it: one pattern on all aligned faces of a person.

Zhong and Deng, "OPOM: customized invisible cloak towards face privacy protection", PAMI 45(3), 2023, with the class
centre; Chow and others, "Personalized privacy protection mask against unauthorized facial recognition", ECCV 2024, with
its bounds: epsilon 16, SSIM .95. P3-Mask prices SSIM in each of 50 epochs; here the finished mask is scaled down until
the mean SSIM of the aligned crops that it was made from is that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from peers_faces import SIDE_112, Person, Square, away, composed, squares_of
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.api import Pixels
from uncnn.plugins.engine.objectives import Cosine
from uncnn.plugins.geometry import ARCFACE_112, inverse, similarities
from uncnn.plugins.perception.similarity import ssim
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.recognisers.warp import warp


@dataclass(frozen=True, slots=True)
class UniversalMask:
    """Away from the centre of the person's embeddings, summed over clean photos, by Adam; SSIM below .95 is priced."""

    steps: int = 30
    epsilon_255: float = 16.0
    rate: float = 2.0  # grey levels
    least_ssim: float = 0.95
    price: float = 50.0  # of a unit of SSIM below that

    def cloak(self, people: Sequence[Person], attacked: Sequence[Recogniser]) -> list[Pixels]:
        """Return the photos with the mask that was made from others of the same person, person by person."""
        copies: list[Pixels] = []
        for person in people:
            mask = self._made(squares_of(person.others, self.epsilon_255)[1], attacked)
            regions, faces = squares_of(person.judged, self.epsilon_255)
            copies += composed(person.judged, regions, faces, _drawn(mask, faces))
        return copies

    def _made(self, faces: Square, attacked: Sequence[Recogniser]) -> Tensor:
        """Return the mask, (1, 3, S, S) grey levels of the aligned crop, made from these faces."""
        loss = away(attacked, faces)
        loss = replace(loss, objectives=[_centred(each) for each in loss.objectives])  # type: ignore[arg-type]
        mask = faces.noise(0)[:1, :, :SIDE_112, :SIDE_112].clone().requires_grad_()
        descent = torch.optim.Adam([mask], lr=self.rate)
        matrices = torch.from_numpy(similarities(faces.points, ARCFACE_112)).float()
        clean = warp(faces.patches, matrices, SIDE_112, SIDE_112)
        for _ in range(self.steps):
            with torch.enable_grad():
                inputs = (faces.patches + _drawn(mask, faces)).clamp(0, 255)
                lack = (self.least_ssim - ssim(clean, (clean + mask).clamp(0, 255))).clamp(min=0)
            away_from = loss.gradient(inputs.detach(), 0)
            with torch.enable_grad():
                total = (inputs * away_from).sum() + self.price * lack.sum()
            (mask.grad,) = torch.autograd.grad(total, mask)
            descent.step()
            with torch.no_grad():
                mask.clamp_(-self.epsilon_255, self.epsilon_255)
        return self._lighter(mask.detach(), clean)

    def _lighter(self, mask: Tensor, clean: Tensor) -> Tensor:
        """Return the mask, scaled down until the crops, (N, 3, S, S), are as like the clean ones as is asked for."""
        low, high = 0.0, 1.0
        for share in (1.0, *[0.0] * 10):  # as it is, else by halves to a thousandth
            middle = share or (low + high) / 2
            enough = float(ssim(clean, (clean + middle * mask).clamp(0, 255)).mean()) >= self.least_ssim
            low, high = (middle, high) if enough else (low, middle)
        return low * mask


def _centred(objective: Cosine) -> Cosine:
    """Return the objective with the centre of all its anchors in place of each."""
    centre = functional.normalize(objective.anchors.mean(dim=0, keepdim=True), dim=1)
    return replace(objective, anchors=centre.expand_as(objective.anchors))


def _drawn(mask: Tensor, faces: Square) -> Tensor:
    """Return a mask of the aligned crop, (1, 3, S, S), on each patch, (N, 3, P, P)."""
    matrices = torch.from_numpy(inverse(similarities(faces.points, ARCFACE_112))).float()
    side = faces.patches.shape[3]
    return warp(mask.expand(len(matrices), -1, -1, -1), matrices, side, side)
