"""The students: three compact networks that share as little as possible, so that a cloak cannot lean on one design.

Plain convolutions with ReLU after He et al., "Deep residual learning for image recognition", CVPR 2016; inverted
residuals after Sandler et al., "MobileNetV2", CVPR 2018; large depthwise kernels with GELU after Liu et al., "A ConvNet
for the 2020s", CVPR 2022 (with batch normalisation, which folds away). All end in the global depthwise convolution of
Chen et al., "MobileFaceNets", CCBR 2018. They are written anew here, with no weights of anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from uncnn.plugins.cards import TEMPLATES, Points

EMBEDDING = 256
SIDE = 112
TIGHT: Points = tuple((round(x * 112 / 128, 3), round(y * 112 / 128, 3)) for x, y in TEMPLATES["openvino-128"])  # type: ignore[assignment]
"""The face larger in the picture than ArcFace has it, as OpenVINO and dlib see it."""


class Unit(nn.Sequential):
    """Convolution, batch normalisation and, where asked, ReLU."""

    def __init__(
        self, inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> None:
        convolution = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outer), *([nn.ReLU(inplace=True)] if relu else []))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(Unit(inner, outer, 3, stride), Unit(outer, outer, 3, relu=False))
        same = stride == 1 and inner == outer
        self.shortcut = nn.Identity() if same else Unit(inner, outer, 1, stride, relu=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outer, H / stride, W / stride)."""
        out: Tensor = self.relu(self.body(features) + self.shortcut(features))
        return out


class InvertedResidual(nn.Module):
    """Widen, convolve depthwise, narrow; a shortcut where the shape stays."""

    def __init__(self, inner: int, outer: int, stride: int, hidden: int) -> None:
        super().__init__()
        depthwise = Unit(hidden, hidden, 3, stride, groups=hidden)
        self.body = nn.Sequential(Unit(inner, hidden, 1), depthwise, Unit(hidden, outer, 1, relu=False))
        self.same = stride == 1 and inner == outer

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outer, H / stride, W / stride)."""
        out: Tensor = self.body(features)
        return out + features if self.same else out


class LargeKernelBlock(nn.Module):
    """A 7x7 depthwise convolution, then two 1x1 around GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        spatial = nn.Sequential(nn.Conv2d(width, width, 7, padding=3, groups=width), nn.BatchNorm2d(width))
        self.body = nn.Sequential(spatial, nn.Conv2d(width, 3 * width, 1), nn.GELU(), nn.Conv2d(3 * width, width, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        out: Tensor = features + self.body(features)
        return out


def resnet() -> nn.Sequential:
    """Return a small residual network, (N, 3, 112, 112) -> (N, 256)."""
    blocks: list[nn.Module] = [Unit(3, 24, 3, 2)]
    for inner, outer in ((24, 32), (32, 64), (64, 128)):
        blocks += [BasicBlock(inner, outer, 2), BasicBlock(outer, outer, 1)]
    return nn.Sequential(*blocks, *_embed(128))


def mobilenet() -> nn.Sequential:
    """Return a small network of inverted residuals, (N, 3, 112, 112) -> (N, 256)."""
    blocks: list[nn.Module] = [Unit(3, 24, 3, 2)]
    inner = 24
    for outer, number, hidden in ((32, 2, 64), (64, 4, 128), (96, 3, 256)):
        blocks += [InvertedResidual(inner, outer, 2, hidden)]
        blocks += [InvertedResidual(outer, outer, 1, hidden) for _ in range(number - 1)]
        inner = outer
    return nn.Sequential(*blocks, Unit(inner, 384, 1), *_embed(384))


def convnext() -> nn.Sequential:
    """Return a small network of large kernels, (N, 3, 112, 112) -> (N, 256)."""
    blocks: list[nn.Module] = [nn.Conv2d(3, 48, 4, 4), nn.BatchNorm2d(48)]
    for inner, width, number in ((0, 48, 2), (48, 96, 3), (96, 160, 2)):
        if inner:
            blocks += [nn.BatchNorm2d(inner), nn.Conv2d(inner, width, 2, 2)]
        blocks += [LargeKernelBlock(width) for _ in range(number)]
    return nn.Sequential(*blocks, *_embed(160))


def _embed(width: int) -> Sequence[nn.Module]:
    """Return the head: one 7x7 depthwise convolution over all that is left, then a linear map."""
    whole = nn.Sequential(nn.Conv2d(width, width, SIDE // 16, groups=width, bias=False), nn.BatchNorm2d(width))
    return whole, nn.Flatten(), nn.Linear(width, EMBEDDING, bias=False), nn.BatchNorm1d(EMBEDDING)


@dataclass(frozen=True, slots=True)
class Student:
    """A network to train, and how it sees a face."""

    name: str
    family: str
    make: Callable[[], nn.Sequential]
    template: Points


STUDENTS = (
    Student("uncnn-resnet", "ResNet-14, plain convolutions (uncnn)", resnet, TEMPLATES["arcface-112"]),
    Student("uncnn-mobilenet", "inverted residuals (uncnn)", mobilenet, TEMPLATES["arcface-112"]),
    Student("uncnn-convnext", "large kernels, GELU (uncnn)", convnext, TIGHT),
)
