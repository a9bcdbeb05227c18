"""The closed-set classifiers of `founding.py`: networks of ours, and a linear head on a published recogniser.

Each takes (N, 3, 112, 112) float32 RGB in 0..255 and gives a number a person, (N, people), before the softmax. They
are trained for these tables alone and ship nowhere, so that they may know people of LFW whom nothing that ships knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from founding_faces import SIDE, Faces
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18

from uncnn.plugins.recognisers.torch_recogniser import Recogniser

BATCH: Final = 32
SEEN: Final = 64  # pixels of the networks of ours
SCALE: Final = 16.0  # of unit embeddings before the softmax
WIDTHS: Final = (16, 32, 64, 128)  # channels of the blocks of Model A


class Smaller(nn.Module):
    """What networks of ours see: fewer pixels, so that a core trains them in minutes."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Return pictures (N, 3, P, P) in 0..255 as (N, 3, 64, 64) in -1..1."""
        seen = functional.interpolate(pictures, (SEEN, SEEN), mode="bilinear", antialias=True, align_corners=False)
        return seen / 127.5 - 1


class Headed(nn.Module):
    """Model B's stand-in: a softmax head on the unit embeddings of a recogniser that stays as it is."""

    def __init__(self, recogniser: Recogniser, people: int) -> None:
        super().__init__()
        self.recogniser = recogniser
        self.head = nn.Linear(recogniser.card.embedding, people)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the logits of each picture, (N, people)."""
        return self.of(functional.normalize(self.recogniser.outputs(pictures), dim=1))

    def of(self, embeddings: Tensor) -> Tensor:
        """Return the logits of unit embeddings, (N, D)."""
        logits: Tensor = self.head(SCALE * embeddings)
        return logits


def small(people: int) -> nn.Sequential:
    """Return Model A: four blocks of two 3 x 3 convolutions, as in VGG, and one linear layer."""
    layers: list[nn.Module] = [Smaller()]
    before = 3
    for width in WIDTHS:
        for _ in range(2):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(before, people))


def residual(people: int) -> nn.Sequential:
    """Return ResNet-18 with a last layer of so many people and random weights."""
    return nn.Sequential(Smaller(), resnet18(num_classes=people))


@dataclass(frozen=True, slots=True)
class Training:
    """How a network is trained: AdamW whose rate rises and falls once, over `epochs` of the pictures, in bfloat16."""

    epochs: int
    rate: float = 2e-3
    decay: float = 0.05
    smoothing: float = 0.1  # of the labels
    shift: float = 0.08  # of the side, at most
    turn: float = 10.0  # degrees, at most
    zoom: float = 0.1
    light: float = 0.3  # of brightness, contrast, and each channel's share, at most


def train(network: nn.Module, pictures: Tensor, wanted: Tensor, plan: Training, seed: int = 0) -> None:
    """Train a network in place, and leave it ready to be asked.

    `wanted` is whose each picture is, (N,), or the embedding that it is to have, (N, D).
    """
    draw = torch.Generator().manual_seed(seed)
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    descent = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    steps = -(-len(pictures) // BATCH)
    rates = torch.optim.lr_scheduler.OneCycleLR(descent, plan.rate, epochs=plan.epochs, steps_per_epoch=steps)
    began = time.process_time()
    for epoch in range(plan.epochs):
        total = 0.0
        for batch in torch.randperm(len(pictures), generator=draw).split(BATCH):
            shown = varied(pictures[batch].float(), plan, draw).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                outputs = network(shown)
            loss = _loss(outputs.float(), wanted[batch], plan)
            descent.zero_grad()
            loss.backward()
            descent.step()
            rates.step()
            total += float(loss.detach()) * len(batch)
        if epoch % 10 == 9 or plan.epochs < 10:
            spent = time.process_time() - began
            print(f"  epoch {epoch + 1}: loss {total / len(pictures):.2f}, {spent:.0f} s of a core", flush=True)
    network.eval().requires_grad_(False)


def _loss(outputs: Tensor, wanted: Tensor, plan: Training) -> Tensor:
    if wanted.is_floating_point():
        return 1 - functional.cosine_similarity(outputs, wanted).mean()
    return functional.cross_entropy(outputs, wanted, label_smoothing=plan.smoothing)


def varied(pictures: Tensor, plan: Training, draw: torch.Generator) -> Tensor:
    """Return (N, 3, P, P) in 0..255 mirrored, moved, turned, zoomed and relit, each by its own draw."""
    number = len(pictures)

    def within(most: float, *shape: int) -> Tensor:
        return most * (2 * torch.rand(number, *shape, generator=draw) - 1)

    angle, zoom = torch.deg2rad(within(plan.turn)), 1 + within(plan.zoom)
    mirrored = torch.where(torch.rand(number, generator=draw) < 0.5, -1.0, 1.0)
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    columns = [cosine * mirrored, -sine, within(2 * plan.shift), sine * mirrored, cosine, within(2 * plan.shift)]
    places = functional.affine_grid(torch.stack(columns, 1).view(-1, 2, 3), [number, 3, SIDE, SIDE], False)
    moved = functional.grid_sample(pictures, places, padding_mode="border", align_corners=False)
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    gain = 1 + within(plan.light, 1, 1, 1) + within(plan.light / 4, 3, 1, 1)
    lit = (moved - middle) * (1 + within(plan.light, 1, 1, 1)) + middle
    return (lit * gain).clamp(0, 255)


def learnt(
    make: Callable[[int], nn.Sequential],
    file: Path,
    known: Faces,
    before: Tensor,
    teacher: Recogniser,
    plans: tuple[Training, Training],
) -> nn.Sequential:
    """Return a network that names `known`; it begins with what a recogniser sees in `before`. Kept in a file."""
    network = make(known.count)
    if file.exists():
        network.load_state_dict(torch.load(file, weights_only=True))
        return network.eval().requires_grad_(False)
    torch.manual_seed(0)
    first = make(teacher.card.embedding)
    train(first, before, embeddings(teacher, before), plans[0])
    network = make(known.count)
    shapes = {name: each.shape for name, each in network.state_dict().items()}
    body = {name: each for name, each in first.state_dict().items() if each.shape == shapes[name]}
    network.load_state_dict(body, strict=False)
    train(network, known.pictures, known.people, plans[1])
    torch.save(network.state_dict(), file)
    return network


@torch.no_grad()
def embeddings(recogniser: Recogniser, pictures: Tensor) -> Tensor:
    """Return the unit embeddings, (N, D), of aligned faces."""
    parts = (recogniser.outputs(part.float()) for part in pictures.split(BATCH))
    return torch.cat([functional.normalize(part, dim=1) for part in parts])


def headed(recogniser: Recogniser, known: Faces, steps: int = 300) -> Headed:
    """Return a recogniser with a head that is trained on the pictures and their mirror images."""
    torch.manual_seed(0)
    network = Headed(recogniser, known.count)
    seen = embeddings(recogniser, torch.cat([known.pictures, known.pictures.flip(3)]))
    descent = torch.optim.AdamW(network.head.parameters(), lr=0.01, weight_decay=0.01)
    for _ in range(steps):
        loss = functional.cross_entropy(network.of(seen), known.people.repeat(2))
        descent.zero_grad()
        loss.backward()
        descent.step()
    return network.eval().requires_grad_(False)


@torch.no_grad()
def named(network: nn.Module, pictures: Tensor) -> Tensor:
    """Return whom a network takes each picture for, (N,)."""
    return torch.cat([network(part.float()).argmax(dim=1) for part in pictures.split(BATCH)])
