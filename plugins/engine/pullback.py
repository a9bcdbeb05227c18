"""A gradient carried back from results to what they were made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pull_back(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], gradients: Sequence[Tensor], again: bool = False
) -> tuple[Tensor, ...]:
    """Return the gradients by `inputs` of whatever has these `gradients` by `outputs`, shapes alike.

    With `again` more can be carried back the same way. The same to the bit as torch.autograd.grad with `grad_outputs`,
    which in torch 2.15 imports all of sympy: seconds.
    """
    with torch.enable_grad():
        pairs = zip(outputs, gradients, strict=True)
        total = torch.stack([(output * gradient.detach()).sum() for output, gradient in pairs]).sum()
    return torch.autograd.grad(total, list(inputs), retain_graph=again)
