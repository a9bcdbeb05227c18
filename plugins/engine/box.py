"""The change of variables of Carlini and Wagner: any numbers at all are a change inside the bounds.

Carlini, Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017, section V-B, third method. The
paper's box is 0..1; here it is what the host's bound leaves of 0..255 at each pixel, so that nothing is lost to
clamping but the chroma that is beyond its own, tighter bound.
"""

from __future__ import annotations

import torch
from torch import Tensor

from uncnn.plugins.api import Faces
from uncnn.plugins.engine.pullback import pull_back
from uncnn.plugins.engine.steps import unit

EPSILON = 0.01  # of Adam, in mean gradients: what is smaller is mostly rounding, whose sign is not to be followed
START = 0.1  # the largest of the random numbers to start from: the loss is flat at the clean face itself


class Descent:
    """Adam on the variables of a batch of changes, each face's moved by its own gradient alone.

    The papers take thousands of steps at one rate. Here they are few: they begin at `travel` / `steps` and fall to 0.
    """

    def __init__(self, faces: Faces, stream: int, travel: float, steps: int) -> None:
        """Start near no change at all, at random numbers of the `stream`."""
        self.faces = faces
        self._variables = (START * faces.noise(stream)).requires_grad_()  # (N, 3, P, P)
        self._optimiser = torch.optim.Adam([self._variables], travel / steps, eps=EPSILON)
        self._schedule = torch.optim.lr_scheduler.LinearLR(self._optimiser, 1.0, 1 / steps, steps)

    @property
    def pixels(self) -> Tensor:
        """Return the change as it is now, (N, 3, P, P) grey levels inside the budget."""
        return self._change().detach()

    def down(self, gradient: Tensor) -> None:
        """Take one step down the `gradient` (N, 3, P, P) of a loss by the change."""
        (gradient,) = pull_back([self._change()], [self._variables], [gradient])
        self._variables.grad = unit(gradient) * gradient[0].numel()
        self._optimiser.step()
        self._schedule.step()

    def _change(self) -> Tensor:
        patches, limits = self.faces.patches, self.faces.luma_limits
        below, above = torch.minimum(limits, patches), torch.minimum(limits, 255 - patches)
        room = torch.where(self._variables < 0, below, above)  # 0 stays no change where one side is the shorter
        return self.faces.valid(room * self._variables.tanh())
