"""TIP-IM: toward whichever of several identities pays best at each step, with a term that keeps the face natural.

Yang, Dong, Pang, Su, Zhu, Chen, Xue, "Towards face encryption by generating adversarial identity masks", ICCV 2021. The
targets are those that the host allows, which frame nobody. The distances are the cosines of the ensemble's mean. The
paper's MMD is between the batch of changed faces and that of clean ones; here a face must not depend on the others of
its batch, so it is between the blocks of the changed patch and the blocks of the clean one. Where the host offers no
target, the attack goes away from the clean face.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins.api import Budget, Change, Faces, Loss, parameter
from uncnn.plugins.engine.steps import lengths, view
from uncnn.plugins.parameters import check
from uncnn.plugins.perception.pixel_bounds import luma_of

BLOCK_PX = 8  # side of the blocks whose distributions are compared
BANDWIDTHS = (0.001, 0.01, 0.1, 1.0)  # of the kernels, in mean squared distances of a clean face's blocks
DECAY = 1.0  # mu of the momentum


@dataclass(frozen=True, slots=True)
class TipIm:
    """Try a step toward each of the candidates and keep the one of the largest gain, at each step, for each face."""

    candidates: int = parameter(3, "targets that are tried, of those that the host offers", least=1)
    naturalness: float = parameter(
        3000.0, "gamma: what a unit of MMD costs; noise of 3 grey levels is about 5e-5 units", least=0
    )
    step_size: float = parameter(1.5, "how far all steps go together", "bounds of each pixel", above=0)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check(self)

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return the change of each face after `budget.steps` greedy steps, (N, 3, P, P) grey levels."""
        targets = min(self.candidates, loss.targets)
        step_size = lengths(faces, budget, self.step_size)
        pixels = faces.valid(faces.noise(0) * faces.luma_limits)
        momentum = torch.zeros_like(pixels)
        for step in range(budget.steps):
            inputs = faces.patches + pixels
            away, *toward = loss.gradients(inputs, view(step, True), targets)
            common = away + self.naturalness * _mmd_gradient(faces.patches, inputs)
            gradients = [common + each for each in toward] or [common]
            moments = [DECAY * momentum + _scaled(gradient) for gradient in gradients]
            tried = [faces.valid(pixels - step_size * moment.sign()) for moment in moments]
            best = _largest_gain(faces, loss, targets, tried)  # algorithm 1: greedy insertion
            pixels, momentum = _chosen(tried, best), _chosen(moments, best)
        return Change(pixels)


def _scaled(gradient: Tensor) -> Tensor:
    """Return each face's gradient in units of its own mean size, so that momentum adds like to like."""
    return gradient / gradient.abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-20)


@torch.no_grad()
def _largest_gain(faces: Faces, loss: Loss, targets: int, tried: list[Tensor]) -> Tensor:
    """Return which of the changes `tried` gains most, (N,): log(1 + sum over the targets of exp(away - toward))."""
    if len(tried) == 1:
        return torch.zeros(len(faces.patches), dtype=torch.int64, device=faces.patches.device)
    gains = []
    for pixels in tried:
        own, *toward = loss.losses(faces.patches + pixels, 0, targets)
        nearer = torch.stack([-own - each for each in toward])  # minus the loss is a distance, but for a constant
        gains.append(nearer.exp().sum(dim=0).log1p())  # the gain function of section 3.3
    return torch.stack(gains).argmax(dim=0)


def _chosen(options: list[Tensor], numbers: Tensor) -> Tensor:
    """Return for each face the one of `options`, each (N, 3, P, P), that `numbers` (N,) names."""
    return torch.stack(options)[numbers, torch.arange(len(numbers), device=numbers.device)]


def _mmd_gradient(clean: Tensor, inputs: Tensor) -> Tensor:
    """Return the gradient of each face's own MMD, (N, 3, P, P)."""
    with torch.enable_grad():
        own = inputs.detach().requires_grad_()
        return torch.autograd.grad(mmd(clean, own).sum(), own)[0]


def mmd(clean: Tensor, inputs: Tensor) -> Tensor:
    """Return the squared MMD, (N,), between the blocks of luma of two pictures (N, 3, P, P); 0 where they are equal.

    Gretton, Borgwardt, Rasch, Schoelkopf, Smola, "A kernel two-sample test", JMLR 2012: the biased estimate, with a sum
    of Gaussian kernels as the paper has.
    """
    first, second = _blocks(clean), _blocks(inputs)
    within = _squared(first, first)
    scale = within.mean(dim=(1, 2), keepdim=True).detach().clamp(min=1e-6)
    kernel = _kernel(within, scale) + _kernel(_squared(second, second), scale)
    return (kernel - 2 * _kernel(_squared(first, second), scale)).mean(dim=(1, 2))


def _kernel(squared: Tensor, scale: Tensor) -> Tensor:
    """Return the kernel of `squared` distances (N, B, B), the mean of Gaussians of several widths."""
    return torch.stack([torch.exp(-squared / (2 * width * scale)) for width in BANDWIDTHS]).mean(dim=0)


def _blocks(pictures: Tensor) -> Tensor:
    """Return the blocks of luma of each picture, (N, B, BLOCK_PX ** 2)."""
    return functional.unfold(luma_of(pictures), BLOCK_PX, stride=BLOCK_PX).transpose(1, 2)


def _squared(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared distances, (N, B, B), of blocks (N, B, D)."""
    sizes = first.square().sum(dim=2)[:, :, None] + second.square().sum(dim=2)[:, None]
    return (sizes - 2 * first @ second.transpose(1, 2)).clamp(min=0)
