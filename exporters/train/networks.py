"""The students: compact networks of different designs, so that a cloak does not lean on one.

Grouped convolutions with ReLU after Xie et al., "Aggregated residual transformations for deep neural networks", CVPR
2017; inverted residuals after Sandler et al., "MobileNetV2", CVPR 2018. The first ends in the global depthwise
convolution of Chen et al., "MobileFaceNets", CCBR 2018. A part of a student gives what one of its teacher's parts
gives, in a way of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from uncnn.exporters.train.teachers import Meeting

SIDE = 112
GROUPED = 16  # channels of a group


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


def resnext() -> nn.Sequential:
    """Return a residual network of grouped 3x3 convolutions, (N, 3, 112, 112) -> (N, 128)."""

    def shrink(inner: int, middle: int, outer: int) -> nn.Module:
        return nn.Sequential(Unit(inner, middle, 3, 2), Unit(middle, outer, 1, relu=False))

    def blocks(width: int, middle: int, number: int) -> Sequence[nn.Module]:
        def body() -> Sequence[nn.Module]:
            groups = middle // GROUPED
            return Unit(width, middle, 1), Unit(middle, middle, 3, 1, groups), Unit(middle, width, 1, relu=False)

        return [Residual(*body()) for _ in range(number)]

    stem = nn.Sequential(Unit(3, 32, 3, 2), Unit(32, 64, 3))
    first = (shrink(64, 64, 64), *blocks(64, 96, 4))
    second = (shrink(64, 96, 128), *blocks(128, 176, 6))
    third = (shrink(128, 64, 128), *blocks(128, 128, 2))
    whole = nn.Conv2d(320, 320, SIDE // 16, groups=320, bias=False)
    head = nn.Sequential(Unit(128, 320, 1), whole, nn.BatchNorm2d(320), nn.Flatten(), nn.Linear(320, 128))
    return nn.Sequential(stem, *first, *second, *third, head)


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
    half: bool = True  # quicker in bfloat16 on a CPU


WIDE = (Meeting(64, 56, 1), Meeting(64, 28, 5), Meeting(128, 14, 7), Meeting(128, 7, 3))
NARROW = (Meeting(32, 56, 1), Meeting(32, 28, 3), Meeting(32, 14, 3), Meeting(64, 7, 3), Meeting(128, 4, 3))
STUDENTS = (
    Student(
        "uncnn-resnext",
        "residual, grouped 3x3 convolutions (uncnn)",
        resnext,
        "mobilefacenet-foamliu",
        "Apache-2.0",
        WIDE,
        128,
    ),
    Student(
        "uncnn-mobilenet", "inverted residuals (uncnn)", mobilenet, "mobileface-v2", "MIT", NARROW, 256, half=False
    ),
)
