"""The generator's network, in torch: it is trained as this, and exported to ONNX.

A U-Net (Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015) of
residual blocks. The picture of an aligned face goes in; out come the values of each band of spatial frequencies, so
that the budget of the host bounds what it draws as it bounds `veil` (Hussain and others, "ReFace: real-time
adversarial attacks on face recognition systems", 2022, draw pixels).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 128
"""Of the aligned face, pixels: the ArcFace-112 template with `MARGIN` on every side."""

MARGIN = 8

HEADS = 5
"""Bands that it gives: for 128, 64, 32, 16 and 8 values a side."""

WIDTHS = (24, 48, 72, 96)  # channels at 64, 32, 16 and 8
SQUEEZED = 16  # of the coarsest channels one in so many tells all places what the whole face is like
SLOPE = 0.1  # of the activation below 0
SMALL = 0.02  # standard deviation of what the heads start from: hardly any change


class Block(nn.Module):
    """Two convolutions whose result is added to what went in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.gain = nn.Parameter(torch.full((1, channels, 1, 1), 0.3))

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape, (N, C, H, W)."""
        added: Tensor = self.second(_bent(self.first(_bent(features))))
        return features + self.gain * added


class GeneratorNetwork(nn.Module):
    """From aligned faces, (N, 3, 128, 128) RGB in 0..255, to the values of five bands."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        fine, middle, coarse, whole = widths
        self.stem = nn.Conv2d(12, fine, 3, padding=1)
        self.down_64 = Block(fine)
        self.halve_64 = nn.Conv2d(fine, middle, 2, 2)
        self.down_32 = Block(middle)
        self.halve_32 = nn.Conv2d(middle, coarse, 2, 2)
        self.down_16 = nn.Sequential(Block(coarse), Block(coarse))
        self.halve_16 = nn.Conv2d(coarse, whole, 2, 2)
        self.bottom = nn.Sequential(Block(whole), Block(whole))
        squeezed = whole // SQUEEZED
        self.squeeze = nn.Conv2d(whole, squeezed, 1)
        self.modulate = nn.Linear(squeezed * (SIDE // 16) ** 2, 2 * whole)
        self.bottom_8 = Block(whole)
        self.double_8 = nn.ConvTranspose2d(whole, coarse, 2, 2)
        self.up_16 = nn.Sequential(Block(coarse), Block(coarse))
        self.double_16 = nn.ConvTranspose2d(coarse, middle, 2, 2)
        self.up_32 = Block(middle)
        self.double_32 = nn.ConvTranspose2d(middle, fine, 2, 2)
        self.up_64 = Block(fine)
        self.heads = nn.ModuleList(
            [
                nn.Conv2d(fine, 12, 3, padding=1),
                nn.Conv2d(fine, 3, 3, padding=1),
                nn.Conv2d(middle, 3, 1),
                nn.Conv2d(coarse, 3, 1),
                nn.Conv2d(whole, 3, 1),
            ]
        )
        for head in self.heads:
            assert isinstance(head, nn.Conv2d), "made above"
            nn.init.normal_(head.weight, 0, SMALL)

    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        """Return the values before they are bounded, (N, 3, s, s) with s from 128 to 8: see `bounded`."""
        fine = self.down_64(self.stem(functional.pixel_unshuffle(faces / 127.5 - 1, 2)))
        middle = self.down_32(self.halve_64(fine))
        coarse = self.down_16(self.halve_32(middle))
        whole = self.bottom(self.halve_16(coarse))
        scale, shift = self.modulate(_bent(self.squeeze(whole).flatten(1)))[:, :, None, None].chunk(2, dim=1)
        whole = self.bottom_8(whole * (1 + scale) + shift)
        coarse = self.up_16(coarse + self.double_8(whole))
        middle = self.up_32(middle + self.double_16(coarse))
        fine = self.up_64(fine + self.double_32(middle))
        features = (fine, fine, middle, coarse, whole)
        drawn, *others = [head(each) for head, each in zip(self.heads, features, strict=True)]
        return functional.pixel_shuffle(drawn, 2), *others


def bounded(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the values in -1..1: shares of the bounds of luminance, red-green and yellow-violet contrast."""
    return tuple(torch.tanh(output) for output in outputs)


class BoundedGenerator(nn.Module):
    """The network as it ships: its outputs are the bounded values."""

    def __init__(self, network: GeneratorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        """Return the values of five bands of aligned faces, (N, 3, 128, 128) RGB in 0..255."""
        return bounded(self.network(faces))


def _bent(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, SLOPE)
