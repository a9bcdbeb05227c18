"""The students: compact networks of different designs, so that a cloak does not lean on one.

Inverted residuals with ReLU after Sandler et al., "MobileNetV2", CVPR 2018, with GELU after Hendrycks and Gimpel,
"Gaussian error linear units", 2016, with kernels of two sizes after Tan and Le, "MixConv", BMVC 2019; the last two in
the frame of Chen et al., "MobileFaceNets", CCBR 2018, with its global depthwise convolution. A part of a student gives
what one of its teacher's parts gives, in a way of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uncnn.exporters.train.teachers import Meeting

SIDE = 112


class Unit(nn.Sequential):
    """Convolution, batch normalisation and, where asked, ReLU."""

    def __init__(
        self, inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> None:
        convolution = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outer), *([nn.ReLU(inplace=True)] if relu else []))


class Residual(nn.Module):
    """What a body changes of its input."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        out: Tensor = features + self.body(features)
        return out


class Mixed(nn.Module):
    """A depthwise convolution, 3x3 for the first half of the channels and 5x5 for the others."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        half = width // 2
        self.small = nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False)
        self.large = nn.Conv2d(half, half, 5, stride, 2, groups=half, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, C, H / stride, W / stride)."""
        first, second = features.chunk(2, 1)
        return torch.cat([self.small(first), self.large(second)], 1)


Body = Callable[[int, int, int, int], Sequence[nn.Module]]


def _gelu_body(inner: int, hidden: int, outer: int, stride: int) -> Sequence[nn.Module]:
    depthwise = Unit(hidden, hidden, 3, stride, hidden, relu=False)
    return nn.Conv2d(inner, hidden, 1), nn.GELU(), depthwise, nn.GELU(), nn.Conv2d(hidden, outer, 1)


def _mixed_body(inner: int, hidden: int, outer: int, stride: int) -> Sequence[nn.Module]:
    mixed = (Mixed(hidden, stride), nn.BatchNorm2d(hidden), nn.SiLU())
    return Unit(inner, hidden, 1, relu=False), nn.SiLU(), *mixed, Unit(hidden, outer, 1, relu=False)


def _mobilefacenet(body: Body, pooled: int, embedding: int) -> nn.Sequential:
    def stage(inner: int, hidden: int, outer: int, number: int) -> Sequence[nn.Module]:
        shrink = nn.Sequential(*body(inner, hidden, outer, 2))
        return shrink, *(Residual(*body(outer, 2 * outer, outer, 1)) for _ in range(number))

    stem = nn.Sequential(Unit(3, 32, 3, 2), Unit(32, 64, 3))
    whole = nn.Conv2d(pooled, pooled, SIDE // 16, groups=pooled, bias=False)
    head = nn.Sequential(
        Unit(128, pooled, 1), whole, nn.BatchNorm2d(pooled), nn.Flatten(), nn.Linear(pooled, embedding)
    )
    return nn.Sequential(stem, *stage(64, 128, 64, 4), *stage(64, 256, 128, 6), *stage(128, 384, 128, 2), head)


def mobilefacenet() -> nn.Sequential:
    """Return a MobileFaceNet with GELU, (N, 3, 112, 112) -> (N, 128)."""
    return _mobilefacenet(_gelu_body, 448, 128)


def mixnet() -> nn.Sequential:
    """Return a MobileFaceNet of mixed kernels and SiLU, (N, 3, 112, 112) -> (N, 512)."""
    return _mobilefacenet(_mixed_body, 192, 512)


def mobilenet() -> nn.Sequential:
    """Return a network of inverted residuals, (N, 3, 112, 112) -> (N, 256)."""

    def body(inner: int, hidden: int, outer: int, stride: int = 1) -> Sequence[nn.Module]:
        return Unit(inner, hidden, 1), Unit(hidden, hidden, 3, stride, hidden), Unit(hidden, outer, 1, relu=False)

    def blocks(inner: int, hidden: int, outer: int, number: int) -> Sequence[nn.Module]:
        more = (Residual(*body(outer, hidden, outer)) for _ in range(number - 1))
        return nn.Sequential(*body(inner, hidden, outer, 2)), *more

    stages = (*blocks(32, 128, 32, 3), *blocks(32, 160, 32, 3), *blocks(32, 256, 64, 3), *blocks(64, 288, 128, 3))
    return nn.Sequential(Unit(3, 32, 3, 2), *stages, nn.Sequential(nn.Flatten(), nn.Linear(128 * 4 * 4, 256)))


@dataclass(frozen=True, slots=True)
class Student:
    """A network to train, whom it learns from, and where its parts meet the teacher's."""

    name: str
    family: str
    make: Callable[[], nn.Sequential]
    teacher: str
    teachers_licence: str
    meetings: tuple[Meeting, ...]
    embedding: int


WIDE = (Meeting(64, 56, 1), Meeting(64, 28, 5), Meeting(128, 14, 7), Meeting(128, 7, 3))
NARROW = (Meeting(32, 56, 1), Meeting(32, 28, 3), Meeting(32, 14, 3), Meeting(64, 7, 3), Meeting(128, 4, 3))
STUDENTS = (
    Student(
        "uncnn-mobilenet",
        "inverted residuals, ReLU (uncnn)",
        mobilenet,
        "mobileface-v2",
        "MIT",
        NARROW,
        256,
    ),
    Student(
        "uncnn-mobilefacenet",
        "inverted residuals, GELU (uncnn)",
        mobilefacenet,
        "mobilefacenet-foamliu",
        "Apache-2.0",
        WIDE,
        128,
    ),
    Student("uncnn-mixnet", "inverted residuals, mixed kernels (uncnn)", mixnet, "esp-mfn", "MIT", WIDE, 512),
)
