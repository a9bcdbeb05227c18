"""The layers of RetinaFace: its two bodies, the feature pyramid, the context modules and the heads.

Deng, Guo, Ververas, Kotsia, Zafeiriou, "RetinaFace: Single-shot Multi-level Face Localisation in the Wild", CVPR 2020;
the context modules are those of Najibi, Samangouei, Chellappa, Davis, "SSH: Single Stage Headless Face Detector", ICCV
2017. Attributes and the order of layers are those of the published weights (biubug6/Pytorch_Retinaface and
ternaus/retinaface, both MIT).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

ANCHORS = 2  # at each place of a level


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return a convolution that keeps the size of the picture at stride 1, and its normalisation."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def activated(inputs: int, outputs: int, slope: float, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution with a leaky ReLU of this slope."""
    return nn.Sequential(*convolution(inputs, outputs, kernel, stride), nn.LeakyReLU(slope, inplace=True))


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution of each channel, then one across the channels (MobileNetV1)."""
    return nn.Sequential(
        *convolution(inputs, inputs, stride=stride, groups=inputs),
        nn.LeakyReLU(0.1, inplace=True),
        *convolution(inputs, outputs, kernel=1),
        nn.LeakyReLU(0.1, inplace=True),
    )


class MobileNetBody(nn.Module):
    """MobileNetV1 at a quarter of its width, with what its three stages end in."""

    def __init__(self) -> None:
        super().__init__()
        first = [activated(3, 8, 0.1, stride=2), separable(8, 16), separable(16, 32, 2)]
        self.stage1 = nn.Sequential(*first, separable(32, 32), separable(32, 64, 2), separable(64, 64))
        self.stage2 = nn.Sequential(separable(64, 128, 2), *(separable(128, 128) for _ in range(5)))
        self.stage3 = nn.Sequential(separable(128, 256, 2), separable(256, 256))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return features at strides 8, 16 and 32 of (N, 3, H, W) images."""
        first = self.stage1(images)
        second = self.stage2(first)
        return {"stage1": first, "stage2": second, "stage3": self.stage3(second)}


def resnet_body() -> nn.Module:
    """Return torchvision's ResNet-50 up to its last stage: features at strides 8, 16 and 32."""
    from torchvision.models import resnet50
    from torchvision.models._utils import IntermediateLayerGetter

    body: nn.Module = IntermediateLayerGetter(resnet50(weights=None), {"layer2": 1, "layer3": 2, "layer4": 3})
    return body


class FeaturePyramid(nn.Module):
    """What coarser levels know, brought to finer ones."""

    def __init__(self, inputs: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        slope = leak(outputs)
        self.output1, self.output2, self.output3 = (activated(each, outputs, slope, kernel=1) for each in inputs)
        self.merge1, self.merge2 = activated(outputs, outputs, slope), activated(outputs, outputs, slope)

    def forward(self, features: Mapping[str, Tensor]) -> list[Tensor]:
        """Return three levels of one width, finest first, of a body's features."""
        fine, middle, coarse = features.values()
        fine, middle, coarse = self.output1(fine), self.output2(middle), self.output3(coarse)
        middle = self.merge2(middle + functional.interpolate(coarse, size=middle.shape[2:], mode="nearest"))
        fine = self.merge1(fine + functional.interpolate(middle, size=fine.shape[2:], mode="nearest"))
        return [fine, middle, coarse]


class Context(nn.Module):
    """What lies around each place of a level, at 3, 5 and 7 pixels (SSH)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        slope, quarter = leak(width), width // 4
        self.conv3X3 = nn.Sequential(*convolution(width, width // 2))
        self.conv5X5_1 = activated(width, quarter, slope)
        self.conv5X5_2 = nn.Sequential(*convolution(quarter, quarter))
        self.conv7X7_2 = activated(quarter, quarter, slope)
        self.conv7x7_3 = nn.Sequential(*convolution(quarter, quarter))

    def forward(self, level: Tensor) -> Tensor:
        """Return a level of the same shape, (N, C, H, W)."""
        near, wider = self.conv3X3(level), self.conv5X5_1(level)
        parts = [near, self.conv5X5_2(wider), self.conv7x7_3(self.conv7X7_2(wider))]
        return functional.relu(torch.cat(parts, dim=1))


class Head(nn.Module):
    """So many numbers for each anchor of a level."""

    def __init__(self, width: int, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.conv1x1 = nn.Conv2d(width, ANCHORS * numbers, 1)

    def forward(self, level: Tensor) -> Tensor:
        """Return (N, A, numbers) of a level (N, C, H, W)."""
        found: Tensor = self.conv1x1(level).permute(0, 2, 3, 1).contiguous()
        return found.view(found.shape[0], -1, self.numbers)  # not len(): an export would take the batch for fixed


def heads(width: int, numbers: int) -> nn.ModuleList:
    """Return a head for each of the three levels."""
    return nn.ModuleList([Head(width, numbers) for _ in range(3)])


def leak(width: int) -> float:
    """Return the slope of the leaky ReLUs of a network of this width: its narrow one leaks, its wide one does not."""
    return 0.1 if width <= 64 else 0.0
