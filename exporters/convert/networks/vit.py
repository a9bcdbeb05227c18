"""The vision transformer of insightface, LVFace and CVLface, in their names.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, with ReLU6 for GELU, no class token, and a head over all
patches: https://github.com/deepinsight/insightface (`backbones/vit.py`), You et al., "LVFace", ICCV 2025.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Shape:
    """What the keys and shapes of a checkpoint tell of the network, and the number of heads, which they do not."""

    side: int  # of the picture, pixels
    patch: int  # side of a patch, pixels
    width: int  # of a token
    hidden: int  # of the two linear layers after the attention
    depth: int  # blocks
    length: int  # of the embedding
    heads: int
    biased: bool  # whether queries, keys and values have one


class VisionTransformer(nn.Module):
    """(N, 3, 112, 112) -> (N, `shape.length`)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.height = self.width = shape.side
        patches = (shape.side // shape.patch) ** 2
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, shape.width, shape.patch, shape.patch)})
        self.pos_embed = nn.Parameter(torch.zeros(1, patches, shape.width))
        self.blocks = nn.Sequential(*[_Block(shape) for _ in range(shape.depth)])
        self.norm = nn.LayerNorm(shape.width)
        self.feature = nn.Sequential(
            nn.Linear(shape.width * patches, shape.width, bias=False),
            nn.BatchNorm1d(shape.width, eps=2e-5),
            nn.Linear(shape.width, shape.length, bias=False),
            nn.BatchNorm1d(shape.length, eps=2e-5),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the embeddings, (N, `shape.length`), of normalised pictures (N, 3, side, side)."""
        tokens = self.patch_embed["proj"](pictures).flatten(2).transpose(1, 2) + self.pos_embed
        embeddings: Tensor = self.feature(self.norm(self.blocks(tokens)).flatten(1))
        return embeddings


class _Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.attn, self.mlp = _Attention(shape), _Mlp(shape)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        result: Tensor = tokens + self.mlp(self.norm2(tokens))
        return result


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.part = shape.heads, shape.width // shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=shape.biased)
        self.proj = nn.Linear(shape.width, shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        count = tokens.shape[1]
        split = self.qkv(tokens).reshape(-1, count, 3, self.heads, self.part).permute(2, 0, 3, 1, 4)
        queries, keys, values = split[0], split[1], split[2]
        attention = ((queries @ keys.transpose(-2, -1)) * self.part**-0.5).softmax(dim=-1)
        joined = (attention @ values).transpose(1, 2).reshape(-1, count, self.heads * self.part)
        result: Tensor = self.proj(joined)
        return result


class _Mlp(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(shape.width, shape.hidden), nn.Linear(shape.hidden, shape.width)
        self.act = nn.ReLU6()

    def forward(self, tokens: Tensor) -> Tensor:
        result: Tensor = self.fc2(self.act(self.fc1(tokens)))
        return result
