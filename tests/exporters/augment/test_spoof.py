"""Batches with an attack's change in some of the images: how much, in which, and what is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from uncnn.augment import AugmentError, Embedding, Spoof
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

FLAT: dict[str, Any] = {"visibility": 0, "texture": 0, "epsilon_255": 4, "cap_255": 4, "rms": 0, "chroma": 0}


class Small(nn.Module):
    """A network of random weights: five logits, or embeddings."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 16, 5, stride=3), nn.BatchNorm2d(16)
        self.second, self.last = nn.Conv2d(16, 32, 5, stride=3), nn.Linear(32 * 11 * 11, 5)

    def forward(self, images: Tensor) -> Tensor:
        seen = torch.relu(self.norm(self.first(images)))
        result: Tensor = self.last(torch.relu(self.second(seen)).flatten(1))
        return result


@pytest.fixture
def images() -> Tensor:
    """Return smooth pictures, (6, 3, 112, 112) in 0..1: no faces, which no network here minds."""
    random = torch.rand(6, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    return functional.interpolate(random, (112, 112), mode="bicubic", align_corners=False).clamp(0.1, 0.9)


def luma(change: Tensor) -> Tensor:
    return (change * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1)


def changed(one: Tensor, other: Tensor) -> list[bool]:
    return [not torch.equal(*pair) for pair in zip(one, other, strict=True)]


def test_p_is_the_share_of_images_that_change(images: Tensor) -> None:
    assert not any(changed(Spoof([Small()], attack="fgsm", p=0, **FLAT)(images), images))
    assert all(changed(Spoof([Small()], attack="fgsm", p=1, steps=1, **FLAT)(images), images))
    spoof, some = Spoof([Small()], attack="fgsm", p=0.5, steps=1, **FLAT), 0
    for _ in range(10):
        some += sum(changed(spoof(images), images))
    assert 20 <= some <= 40


def test_the_change_is_inside_the_budget_and_in_whole_grey_levels(images: Tensor) -> None:
    whole = (images * 255).round() / 255
    spoofed = Spoof([Small()], attack="pgd", p=1, steps=3, **FLAT)(whole)
    change = (spoofed - whole) * 255
    assert float(luma(change).abs().max()) <= 4.51  # rounded
    assert float(luma(change).abs().amax(dim=(1, 2)).min()) > 2
    assert torch.allclose(spoofed * 255, (spoofed * 255).round(), atol=1e-3)
    assert torch.equal(spoofed[:, :, 0, 0], whole[:, :, 0, 0]), "nothing outside of the face"


def test_the_same_seed_gives_the_same_and_another_one_does_not(images: Tensor) -> None:
    one, same, other = (Spoof([Small()], attack="pgd", p=1, steps=1, seed=seed, **FLAT)(images) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert all(changed(one, other))


def test_bytes_stay_bytes_and_the_given_images_stay_as_they_are(images: Tensor) -> None:
    given = (images * 255).round().to(torch.uint8)
    before = given.clone()
    spoofed = Spoof([Small()], attack="fgsm", p=1, steps=1, **FLAT)(given)
    assert spoofed.dtype == torch.uint8
    assert all(changed(spoofed, given))
    assert torch.equal(given, before)


def test_a_recogniser_that_comes_along_is_misled(faces_144: Callable[[int], np.ndarray]) -> None:
    faces = torch.from_numpy(faces_144(4)[:, 16:128, 16:128].copy()).permute(0, 3, 1, 2).float() / 255
    network = Embedding(load_recogniser(EMBEDDED / "esp-mfn")).eval()
    spoofed = Spoof(["esp-mfn"], attack="pgd", p=1, steps=4)(faces)
    noise = Spoof(["esp-mfn"], attack="pgd", p=1, steps=1, step_size=1e-6)(faces)
    with torch.no_grad():
        left, of_noise = (functional.cosine_similarity(network(each), network(faces)) for each in (spoofed, noise))
    assert float(left.max()) < 0.5
    assert float(of_noise.min()) > 0.8


def test_networks_in_training_answer_as_in_use_and_are_left_as_they_were(images: Tensor) -> None:
    network = Small().train()
    network.second.eval()  # a part of it that stands still
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Spoof([network], attack="pgd", p=1, steps=2, **FLAT)(images)
    assert network.training
    assert network.norm.training
    assert not network.second.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())


def test_a_closed_set_is_led_away_from_the_labels(images: Tensor) -> None:
    network = Small().eval()
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    spoof = Spoof([network], attack="pgd", p=1, steps=5, closed_set=True, **FLAT)
    spoofed, same = spoof(images, labels)
    assert same is labels
    with torch.no_grad():
        before, after = (
            functional.cross_entropy(network(each), labels, reduction="none") for each in (images, spoofed)
        )
    assert bool((after > before).all())


def test_one_step_does_not_give_the_label_away(images: Tensor) -> None:
    network = Small().eval()
    said = network(images).argmax(dim=1)

    def spoofed(labels: Tensor, steps: int) -> Tensor:
        spoof = Spoof([network], attack="pgd", p=1, steps=steps, closed_set=True, **FLAT)
        return spoof(images, labels)[0]

    assert torch.equal(spoofed((said + 1) % 5, 1), spoofed(said, 1))
    assert not torch.equal(spoofed((said + 1) % 5, 2), spoofed(said, 2))


def test_it_goes_into_a_compose(images: Tensor) -> None:
    spoof = Spoof([Small()], attack="fgsm", p=1, steps=1, **FLAT)
    both = v2.Compose([spoof, v2.Normalize([0.5] * 3, [0.5] * 3)])
    normal, labels = both(images, torch.arange(6))
    assert normal.shape == images.shape
    assert float(normal.min()) < 0
    assert labels.tolist() == list(range(6))


class InWorkers(Dataset[Tensor]):
    """Pictures that are spoofed where they do not belong."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _number: int) -> Tensor:
        return Spoof([Small()], attack="fgsm", p=1)(torch.zeros(1, 3, 112, 112))[0]


def test_a_worker_of_a_loader_is_no_place_for_it() -> None:
    with pytest.raises(AugmentError, match="in the loop that trains"):
        next(iter(DataLoader(InWorkers(), num_workers=1, multiprocessing_context="fork")))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (torch.zeros(3, 112, 112), r"images \(3, 112, 112\): give \(N, 3, H, W\)"),
        (torch.zeros(1, 1, 112, 112), "give"),
        (torch.zeros(1, 3, 112, 112, dtype=torch.int64), "torch.int64"),
        (torch.full((1, 3, 112, 112), 2.0), r"images in 2.00..2.00: give floats in 0..1"),
        (torch.full((1, 3, 112, 112), -1.0), "normalise them afterwards"),
    ],
)
def test_images_of_another_form_are_refused(given: Tensor, words: str) -> None:
    with pytest.raises(AugmentError, match=words):
        Spoof([Small()], attack="fgsm", p=1)(given)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"p": 1.5}, "p 1.5: give a share"),
        ({"models": []}, "name one at least"),
        ({"models": ["nobody"]}, "'nobody': give the folder of a recogniser, or one of .*esp-mfn"),
        ({"models": ["esp-mfn"], "closed_set": True}, "give networks"),
        ({"target": "crowd"}, "target: spoofs lead away"),
    ],
)
def test_values_that_mean_nothing_are_refused(images: Tensor, values: dict[str, Any], words: str) -> None:
    with pytest.raises(AugmentError, match=words):
        Spoof(**{"models": [Small()], "p": 1, "attack": "fgsm", **values})(images)


@pytest.mark.parametrize("labels", [torch.zeros(5, dtype=torch.int64), torch.zeros(6), [0] * 6])
def test_labels_of_another_form_are_refused(images: Tensor, labels: Any) -> None:
    with pytest.raises(AugmentError, match="a whole number for each image"):
        Spoof([Small()], attack="fgsm", p=1, closed_set=True, **FLAT)(images, labels)


def test_attacks_that_ask_for_decisions_need_a_recogniser_of_a_name(images: Tensor) -> None:
    with pytest.raises(AugmentError, match="give recognisers by name"):
        Spoof([Small()], attack="boundary", p=1, **FLAT)(images)
