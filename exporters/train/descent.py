"""How a network is trained, whatever its loss: AdamW on one rising and falling rate, and the average of the weights.

Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019; Smith and Topin, "Super-convergence", 2019.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

LONGEST = 5.0  # of a gradient
LEAST_VARIANCE = 0.01  # of a channel, as a share of the mean
WARMING = 0.05  # share of the steps in which the rate rises

Network = TypeVar("Network", bound=nn.Module)


class Descent(Generic[Network]):
    """A network on its way down, and `kept`, the moving average of its weights: what training gives.

    `running` is what was still wrong lately, by name.
    """

    def __init__(
        self, network: Network, device: torch.device, steps: int, rate: float, decay: float, average: float
    ) -> None:
        """Put `network` on `device` and make ready for `steps` steps at a rate of no more than `rate`."""
        self.network = network.to(device).to(memory_format=torch.channels_last).train()
        self.kept = copy.deepcopy(self.network).eval()
        self._optimiser = torch.optim.AdamW(self.network.parameters(), rate, weight_decay=decay)
        self._plan = torch.optim.lr_scheduler.OneCycleLR(self._optimiser, rate, total_steps=steps, pct_start=WARMING)
        self._average = average
        self._steps = 0
        self.running: dict[str, float] = {}

    def step(self, losses: Mapping[str, Tensor]) -> None:
        """Go one step down the sum of `losses`, which the network just gave."""
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.advance(losses)

    def advance(self, losses: Mapping[str, Tensor]) -> None:
        """Go one step down the gradient of `losses` that is in the weights already."""
        nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._plan.step()
        self._keep(min(self._average, (1 + self._steps) / (10 + self._steps)))
        self._steps += 1
        for name, loss in losses.items():
            value = float(loss.detach())
            self.running[name] = self.running.get(name, value) * 0.98 + 0.02 * value

    def state(self) -> dict[str, Any]:
        """Return all that a descent which was stopped goes on with: `take_up` takes it."""
        own: dict[str, Any] = {
            "network": self.network,
            "kept": self.kept,
            "optimiser": self._optimiser,
            "plan": self._plan,
        }
        return {"steps": self._steps, "running": self.running} | {name: each.state_dict() for name, each in own.items()}

    def take_up(self, state: Mapping[str, Any]) -> int:
        """Go on where `state` was returned, and return how many steps were done by then.

        Raises:
            RuntimeError: it is another network's.
            ValueError: it was made ready for another number of steps.
        """
        total = self._plan.total_steps
        if state["plan"]["total_steps"] != total:
            raise ValueError(f"begun for {state['plan']['total_steps']} steps, not for {total}")
        self.network.load_state_dict(state["network"])
        self.kept.load_state_dict(state["kept"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._plan.load_state_dict(state["plan"])
        self._steps, self.running = state["steps"], dict(state["running"])
        return self._steps

    @torch.no_grad()
    def _keep(self, share: float) -> None:
        for mine, theirs in zip(self.kept.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - share)
            else:
                mine.copy_(theirs)


def stand_still(network: nn.Module) -> None:
    """Let batch normalisation use what it measured so far: a teacher's answer does not hang on the rest of a batch."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def spreads(teacher_features: Sequence[Tensor]) -> list[Tensor]:
    """Return the standard deviation of each channel, (1, C, ...), of all that a teacher gives; none is near zero."""
    variances = [each.var([0, *range(2, each.ndim)], keepdim=True) for each in teacher_features]
    return [(variance + LEAST_VARIANCE * variance.mean()).sqrt() for variance in variances]
