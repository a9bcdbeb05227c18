"""One loop that trains a network to withstand changes, in three forms.

*madry*: Madry, Makelov, Schmidt, Tsipras and Vladu, "Towards deep learning models resistant to adversarial attacks",
ICLR 2018, equation 2.1: it learns from the changed images. *trades*: Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan,
"Theoretically principled trade-off between robustness and accuracy", ICML 2019, equation 5: it learns from the images
as they are, and that changed ones give the same. *free*: Shafahi and others, "Adversarial training for free!", NeurIPS
2019, algorithm 1: each gradient moves the weights and the change, which stays for the next batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.augment.networks import AugmentError
from uncnn.exporters.augment.spoof import Spoof

Form = Literal["madry", "trades", "free"]


@dataclass(frozen=True, slots=True)
class Lessons:
    """How a network is taught."""

    form: Form = "madry"
    weight: float = 6.0  # trades: what sameness counts beside rightness, 1/lambda
    replays: int = 4  # free: gradients a batch
    epsilon: float = 4 / 255  # free: of a pixel's change, in 0..1
    every: int = 100  # batches from one check to the next
    least: float = 0.7  # of the best check: below it robustness has collapsed


def learn(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    wrong: Callable[[Tensor, Tensor], Tensor],
    optimiser: torch.optim.Optimizer,
    spoof: Spoof,
    lessons: Lessons = Lessons(),
    check: Callable[[nn.Module], float] = lambda _network: 1.0,
) -> list[float]:
    """Teach `network` with `batches` of images in 0..1 and their labels, and return what the checks said.

    `wrong` says how wrong outputs are, by the labels. `spoof` changes the images of a batch (`p` 1: all of them; *free*
    does without). `check` says how well the network withstands an attack of several steps on people who are not in the
    batches: where it falls below a share of its best (catastrophic overfitting: Wong, Rice and Kolter, "Fast is better
    than free", ICLR 2020, section 5.4), the best weights so far come back and the loop ends.

    Raises:
        AugmentError: the loss is no number any more.
    """
    checks, best, kept, change = list[float](), 0.0, copy.deepcopy(network.state_dict()), torch.zeros(())
    for number, (images, labels) in enumerate(batches, 1):
        network.train()
        change = change if change.shape == images.shape else torch.zeros_like(images)
        for _ in range(lessons.replays if lessons.form == "free" else 1):
            inputs = _shown(images, labels, change, spoof, lessons.form)
            if lessons.form == "trades":
                clean = network(images)
                loss = wrong(clean, labels) + lessons.weight * _apart(network(inputs), clean, spoof.closed_set)
            else:
                loss = wrong(network(inputs), labels)
            if not bool(torch.isfinite(loss)):
                raise AugmentError(f"the loss of batch {number} is {loss.item()}: learn at a lower rate")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if inputs.grad is not None:
                change = (change + lessons.epsilon * inputs.grad.sign()).clamp(-lessons.epsilon, lessons.epsilon)
        if number % lessons.every == 0:
            checks.append(check(network.eval()))
            if checks[-1] < lessons.least * best:
                network.load_state_dict(kept)
                break
            if checks[-1] >= best:
                best, kept = checks[-1], copy.deepcopy(network.state_dict())
    network.eval()
    return checks


def _shown(images: Tensor, labels: Tensor, change: Tensor, spoof: Spoof, form: Form) -> Tensor:
    """Return what the network is shown of a batch."""
    if form == "free":
        return (images + change).clamp(0, 1).requires_grad_()
    return spoof(images, labels)[0]


def _apart(outputs: Tensor, clean: Tensor, closed_set: bool) -> Tensor:
    """Return how far what changed images give is from what clean ones do: of logits KL, of embeddings the cosine."""
    if closed_set:
        logs = outputs.log_softmax(dim=1), clean.log_softmax(dim=1)
        return functional.kl_div(*logs, reduction="batchmean", log_target=True)
    return 1 - functional.cosine_similarity(outputs, clean).mean()
