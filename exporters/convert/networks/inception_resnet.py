"""Inception-ResNet-v1 as facenet-pytorch names its parts.

Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
AAAI 2017; Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015; https://github.com/timesler/facenet-pytorch, which
cannot be installed beside today's torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Size: TypeAlias = "int | tuple[int, int]"
Step: TypeAlias = tuple[int, Size, int, Size]  # filters, kernel, stride, padding

BRANCHES: dict[str, tuple[Sequence[Step], ...]] = {
    "block35": (
        [(32, 1, 1, 0)],
        [(32, 1, 1, 0), (32, 3, 1, 1)],
        [(32, 1, 1, 0), (32, 3, 1, 1), (32, 3, 1, 1)],
    ),
    "block17": ([(128, 1, 1, 0)], [(128, 1, 1, 0), (128, (1, 7), 1, (0, 3)), (128, (7, 1), 1, (3, 0))]),
    "block8": ([(192, 1, 1, 0)], [(192, 1, 1, 0), (192, (1, 3), 1, (0, 1)), (192, (3, 1), 1, (1, 0))]),
    "mixed_6a": ([(384, 3, 2, 0)], [(192, 1, 1, 0), (192, 3, 1, 1), (256, 3, 2, 0)]),
    "mixed_7a": (
        [(256, 1, 1, 0), (384, 3, 2, 0)],
        [(256, 1, 1, 0), (256, 3, 2, 0)],
        [(256, 1, 1, 0), (256, 3, 1, 1), (256, 3, 2, 0)],
    ),
}
"""Each branch's convolutions; the two `mixed` ones end with a maximum over 3 x 3, stride 2."""


class InceptionResnet(nn.Module):
    """(N, 3, 160, 160) -> (N, 512), of unit length."""

    height, width = 160, 160

    def __init__(self, length: int) -> None:
        super().__init__()
        self.conv2d_1a = _Unit(3, 32, 3, stride=2)
        self.conv2d_2a = _Unit(32, 32, 3)
        self.conv2d_2b = _Unit(32, 64, 3, padding=1)
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = _Unit(64, 80, 1)
        self.conv2d_4a = _Unit(80, 192, 3)
        self.conv2d_4b = _Unit(192, 256, 3, stride=2)
        self.repeat_1 = nn.Sequential(*[_Residual("block35", 256, 0.17) for _ in range(5)])
        self.mixed_6a = _Mixed("mixed_6a", 256)
        self.repeat_2 = nn.Sequential(*[_Residual("block17", 896, 0.10) for _ in range(10)])
        self.mixed_7a = _Mixed("mixed_7a", 896)
        self.repeat_3 = nn.Sequential(*[_Residual("block8", 1792, 0.20) for _ in range(5)])
        self.block8 = _Residual("block8", 1792, 1.0, bent=False)
        self.last_linear = nn.Linear(1792, length, bias=False)
        self.last_bn = nn.BatchNorm1d(length, eps=0.001)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the embeddings, (N, 512), of normalised pictures (N, 3, 160, 160)."""
        features = self.maxpool_3a(self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(pictures))))
        features = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(features)))
        features = self.repeat_2(self.mixed_6a(self.repeat_1(features)))
        features = self.block8(self.repeat_3(self.mixed_7a(features)))
        return functional.normalize(self.last_bn(self.last_linear(features.mean((2, 3)))), dim=1)


class _Unit(nn.Module):
    def __init__(self, channels: int, filters: int, kernel: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(filters, eps=0.001)  # as in TensorFlow

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(features)))


class _Branched(nn.Module):
    """Named branches; one of a single convolution is that convolution itself, as the keys have it."""

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.names, self.filters = [], 0
        for number, steps in enumerate(BRANCHES[kind]):
            units, inner = [], channels
            for filters, kernel, stride, padding in steps:
                units.append(_Unit(inner, filters, kernel, stride, padding))
                inner = filters
            self.names.append(f"branch{number}")
            self.add_module(self.names[-1], units[0] if len(units) == 1 else nn.Sequential(*units))
            self.filters += inner

    def branches(self, features: Tensor) -> list[Tensor]:
        return [self.get_submodule(name)(features) for name in self.names]


class _Residual(_Branched):
    def __init__(self, kind: str, channels: int, scale: float, bent: bool = True) -> None:
        super().__init__(kind, channels)
        self.scale, self.bent = scale, bent
        self.conv2d = nn.Conv2d(self.filters, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        moved: Tensor = self.conv2d(torch.cat(self.branches(features), 1)) * self.scale + features
        return functional.relu(moved) if self.bent else moved


class _Mixed(_Branched):
    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([*self.branches(features), functional.max_pool2d(features, 3, 2)], 1)
