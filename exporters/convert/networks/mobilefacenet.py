"""MobileFaceNet in the two ways in which its torch checkpoints name their parts.

Chen, Liu, Gao, Han, "MobileFaceNets: Efficient CNNs for Accurate Real-time Face Verification on Mobile Devices",
CCBR 2018. `MobileFaceNetRelu6` is foamliu/MobileFaceNet's, which has ReLU6 where the paper has PReLU;
`MobileFaceNet` is Xiaoccer/MobileFaceNet_Pytorch's, for pictures of 112 x 96.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

SETTINGS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Table 1 of the paper: expansion, channels, blocks, stride of the first of them."""


class MobileFaceNetRelu6(nn.Module):
    """(N, 3, 112, 112) -> (N, 128)."""

    height, width = 112, 112

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _convolved(3, 64, 3, stride=2)
        self.dw_conv = _Separable(64)
        self.features = nn.Sequential(*[_Inverted(*block) for block in _blocks()])
        self.conv2 = _convolved(128, 512, 1)
        self.gdconv = _Global(512, (7, 7))
        self.conv3 = nn.Conv2d(512, 128, 1)
        self.bn = nn.BatchNorm2d(128)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the embeddings, (N, 128), of normalised pictures (N, 3, 112, 112)."""
        features = self.conv2(self.features(self.dw_conv(self.conv1(pictures))))
        embeddings: Tensor = self.bn(self.conv3(self.gdconv(features))).flatten(1)
        return embeddings


class MobileFaceNet(nn.Module):
    """(N, 3, 112, 96) -> (N, 128)."""

    height, width = 112, 96

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Unit(3, 64, 3, stride=2)
        self.dw_conv1 = _Unit(64, 64, 3, groups=64)
        self.blocks = nn.Sequential(*[_Bottleneck(*block) for block in _blocks()])
        self.conv2 = _Unit(128, 512, 1)
        self.linear7 = _Unit(512, 512, (7, 6), padding=0, groups=512, linear=True)
        self.linear1 = _Unit(512, 128, 1, linear=True)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the embeddings, (N, 128), of normalised pictures (N, 3, 112, 96)."""
        features = self.conv2(self.blocks(self.dw_conv1(self.conv1(pictures))))
        embeddings: Tensor = self.linear1(self.linear7(features)).flatten(1)
        return embeddings


def _blocks() -> Iterator[tuple[int, int, int, int]]:
    """Yield each block's channels in, channels out, expansion and stride."""
    channels = 64
    for expansion, filters, count, stride in SETTINGS:
        for number in range(count):
            yield channels, filters, expansion, stride if number == 0 else 1
            channels = filters


def _convolved(channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU6())


class _Separable(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        features = self.relu(self.bn1(self.depthwise(features)))
        result: Tensor = self.relu(self.bn2(self.pointwise(features)))
        return result


class _Inverted(nn.Module):
    def __init__(self, channels: int, filters: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.adds = stride == 1 and channels == filters
        self.conv = nn.Sequential(
            _convolved(channels, inner, 1),
            _convolved(inner, inner, 3, stride, groups=inner),
            nn.Conv2d(inner, filters, 1, bias=False),
            nn.BatchNorm2d(filters),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.conv(features)
        return features + result if self.adds else result


class _Global(nn.Module):
    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.bn(self.depthwise(features))
        return result


class _Unit(nn.Module):
    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        if padding is None:
            padding = kernel // 2 if isinstance(kernel, int) else 0
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(filters)
        self.prelu = nn.Identity() if linear else nn.PReLU(filters)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.prelu(self.bn(self.conv(features)))
        return result


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, filters: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.adds = stride == 1 and channels == filters
        self.conv = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, filters, 1, bias=False),
            nn.BatchNorm2d(filters),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.conv(features)
        return features + result if self.adds else result
