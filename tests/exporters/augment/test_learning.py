"""The loop that trains: a small network learns to withstand an attack in each form, and a collapse is undone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

from uncnn.augment import AugmentError, Lessons, Spoof, learn
from uncnn.exporters.augment.learning import Form

FLAT: dict[str, Any] = {"visibility": 0, "texture": 0, "epsilon_255": 6, "cap_255": 6, "rms": 0, "chroma": 0}


def network() -> nn.Sequential:
    """Return a network that looks at the middle of a picture, which a spoof may change."""
    torch.manual_seed(0)
    return nn.Sequential(v2.CenterCrop(40), nn.Flatten(), nn.Linear(3 * 40 * 40, 2))


def batches(number: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield noise with a pattern of twice a spoof's size in it, or (label 1) its negative."""
    random = torch.Generator().manual_seed(seed)
    pattern = torch.randn(1, 14, 14, generator=torch.Generator().manual_seed(5)).sign()
    pattern = pattern.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2) * 12 / 255
    for _ in range(number):
        labels = torch.randint(2, (8,), generator=random)
        noise = torch.rand(8, 3, 112, 112, generator=random) - 0.5
        yield 0.5 + 0.2 * noise + (1 - 2 * labels).view(-1, 1, 1, 1) * pattern, labels


def spoof_of(taught: nn.Module) -> Spoof:
    return Spoof([taught], attack="pgd", p=1, steps=2, closed_set=True, **FLAT)


def shown(taught: nn.Module) -> list[Tensor]:
    """Return the list to which every batch goes that the network learns from, and no batch by which a spoof asks it."""
    seen: list[Tensor] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training:
            seen.append(inputs[0].detach().clone())

    taught.register_forward_pre_hook(note)
    return seen


@pytest.mark.parametrize("form", ["madry", "trades", "free"])
def test_each_form_teaches_right_answers(form: Form) -> None:
    taught = network()
    ((images, labels),) = batches(1, seed=1)
    assert float((taught(images).argmax(dim=1) == labels).float().mean()) < 1
    optimiser = torch.optim.Adam(taught.parameters(), 5e-4)
    lessons = Lessons(form, weight=1.0, replays=2, every=12)
    checks = learn(taught, batches(24), functional.cross_entropy, optimiser, spoof_of(taught), lessons)
    assert checks == [1.0, 1.0]
    assert not taught.training
    assert float((taught(images).argmax(dim=1) == labels).float().mean()) >= 0.85


def test_madry_learns_from_the_spoofed_pictures_alone() -> None:
    taught = network()
    seen, ((images, labels),) = shown(taught), batches(1)
    optimiser = torch.optim.SGD(taught.parameters(), 1e-3)
    spoofed = spoof_of(copy.deepcopy(taught))(images, labels)[0]
    learn(taught, [(images, labels)], functional.cross_entropy, optimiser, spoof_of(taught))
    assert len(seen) == 1
    assert torch.equal(seen[0], spoofed)
    assert float((spoofed - images).abs().max()) > 3 / 255


def test_trades_learns_from_both_and_that_they_are_the_same() -> None:
    taught = network()
    seen, ((images, labels),) = shown(taught), batches(1)
    alone = copy.deepcopy(taught)
    spoofed = spoof_of(alone)(images, labels)[0]
    optimiser = torch.optim.SGD(taught.parameters(), 1e-3)
    lessons = Lessons("trades", weight=3.0)
    learn(taught, [(images, labels)], functional.cross_entropy, optimiser, spoof_of(taught), lessons)
    assert [torch.equal(*pair) for pair in zip(seen, (images, spoofed), strict=True)] == [True, True]
    logits, of_spoofed = alone(images), alone(spoofed)
    apart = (logits.softmax(1) * (logits.log_softmax(1) - of_spoofed.log_softmax(1))).sum(1).mean()
    (functional.cross_entropy(logits, labels) + 3 * apart).backward()
    for weight, before in zip(taught.parameters(), alone.parameters(), strict=True):
        assert before.grad is not None
        assert torch.allclose(weight, before - 1e-3 * before.grad, atol=1e-7)


def test_the_change_of_free_is_bounded_and_goes_on() -> None:
    taught = network()
    seen, ((images, labels),) = shown(taught), batches(1)
    optimiser = torch.optim.SGD(taught.parameters(), 1e-3)
    lessons = Lessons("free", replays=3, epsilon=2 / 255)
    learn(taught, [(images, labels)] * 2, functional.cross_entropy, optimiser, spoof_of(taught), lessons)
    furthest = [float((each - images).abs().max()) * 255 for each in seen]
    assert furthest == pytest.approx([0, 2, 2, 2, 2, 2], abs=1e-3)


def test_what_collapsed_gets_its_best_weights_back() -> None:
    taught = network()
    kept = list[dict[str, Tensor]]()
    said = iter((0.5, 0.8, 0.7, 0.1, 0.9))

    def check(current: nn.Module) -> float:
        kept.append({name: value.clone() for name, value in current.state_dict().items()})
        return next(said)

    optimiser = torch.optim.SGD(taught.parameters(), 1e-2)
    lessons = Lessons(every=1)
    checks = learn(taught, batches(5), functional.cross_entropy, optimiser, spoof_of(taught), lessons, check)
    assert checks == [0.5, 0.8, 0.7, 0.1]
    assert all(torch.equal(value, kept[1][name]) for name, value in taught.state_dict().items())


def test_a_loss_that_is_no_number_ends_it() -> None:
    taught = network()
    optimiser = torch.optim.SGD(taught.parameters(), 1e-3)
    with pytest.raises(AugmentError, match="the loss of batch 1 is nan: learn at a lower rate"):
        learn(taught, batches(2), lambda outputs, _labels: outputs.sum() * torch.nan, optimiser, spoof_of(taught))
