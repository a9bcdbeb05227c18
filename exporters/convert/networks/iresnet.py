"""IResNet in the two ways in which its checkpoints name their parts.

Duta, Liu, Zhu, Shao, "Improved Residual Networks for Image and Video Recognition", ICPR 2020, as insightface trains it
(`IResNet`: Deng et al., "ArcFace", CVPR 2019) and as AdaFace and CVLface name it (`AdaFaceNet`: Kim, Jain, Liu,
"AdaFace", CVPR 2022). Squeeze and excitation: Hu, Shen, Sun, CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

STAGES = (64, 128, 256, 512)
SIDE = 7  # of the last features, of pictures of 112 x 112


class IResNet(nn.Module):
    """(N, 3, 112, 112) -> (N, `length`), in insightface's names; `counts` are the blocks of each of the four stages."""

    height, width = 112, 112

    def __init__(self, counts: Sequence[int], length: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1, self.prelu = nn.BatchNorm2d(64), nn.PReLU(64)
        before = (64, *STAGES)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(
                _Block(before[stage], STAGES[stage], 2),
                *[_Block(STAGES[stage], STAGES[stage], 1) for _ in range(counts[stage] - 1)],
            )
            for stage in range(4)
        )
        self.bn2 = nn.BatchNorm2d(STAGES[-1])
        self.fc = nn.Linear(STAGES[-1] * SIDE * SIDE, length)
        self.features = nn.BatchNorm1d(length)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the embeddings, (N, `length`), of normalised pictures (N, 3, 112, 112)."""
        features = self.prelu(self.bn1(self.conv1(pictures)))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        embeddings: Tensor = self.features(self.fc(self.bn2(features).flatten(1)))
        return embeddings


class _Block(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(count) for count in (channels, filters, filters))
        self.conv1 = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        self.prelu = nn.PReLU(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride, 1, bias=False)
        self.downsample = _shortcut(channels, filters, stride) if stride > 1 else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        body: Tensor = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(features))))))
        skip: Tensor = self.downsample(features)
        return body + skip


@dataclass(frozen=True, slots=True)
class Unit:
    """What a block of AdaFace's layout is made of, as its keys and shapes tell."""

    channels: int
    filters: int
    stride: int
    normalised: bool  # whether a normalisation follows the first convolution: not in TreB1eN's older layout
    excited: bool  # squeeze and excitation


class AdaFaceNet(nn.Module):
    """(N, 3, 112, 112) -> (N, `length`), in the names of AdaFace and CVLface."""

    height, width = 112, 112

    def __init__(self, units: Sequence[Unit], length: int, affine: bool) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        self.body = nn.Sequential(*[_Residual(unit) for unit in units])
        filters = units[-1].filters
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(filters),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(filters * SIDE * SIDE, length),
            nn.BatchNorm1d(length, affine=affine),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the embeddings, (N, `length`), of normalised pictures (N, 3, 112, 112)."""
        embeddings: Tensor = self.output_layer(self.body(self.input_layer(pictures)))
        return embeddings


class _Residual(nn.Module):
    def __init__(self, unit: Unit) -> None:
        super().__init__()
        channels, filters, stride = unit.channels, unit.filters, unit.stride
        self.shortcut_layer = (
            nn.MaxPool2d(1, stride) if channels == filters else _shortcut(channels, filters, stride)
        )  # a maximum over one pixel: every second pixel is taken
        between = [nn.BatchNorm2d(filters)] if unit.normalised else []
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, filters, 3, padding=1, bias=False),
            *between,
            nn.PReLU(filters),
            nn.Conv2d(filters, filters, 3, stride, 1, bias=False),
            nn.BatchNorm2d(filters),
        )
        if unit.excited:
            self.res_layer.add_module("se_block" if unit.normalised else "5", _Excitation(filters))

    def forward(self, features: Tensor) -> Tensor:
        body: Tensor = self.res_layer(features)
        skip: Tensor = self.shortcut_layer(features)
        return body + skip


class _Excitation(nn.Module):
    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.pool, self.relu, self.sigmoid = nn.AdaptiveAvgPool2d(1), nn.ReLU(), nn.Sigmoid()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        share: Tensor = self.sigmoid(self.fc2(self.relu(self.fc1(self.pool(features)))))
        return features * share


def _shortcut(channels: int, filters: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))
