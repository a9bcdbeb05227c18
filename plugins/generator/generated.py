"""What a generator draws on a batch of faces, in ONNX Runtime, on a CPU: a few milliseconds a face.

The network sees each face upright, at one pixel to a pixel of the ArcFace-112 template, and gives values at five
densities: 1, 1/2, ... 1/16 a pixel. The bands of a patch have densities of their own, since a face may be large or
small in it, and turned; each band's values are read off between the two nearest densities.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import yaml
from torch import Tensor
from torch.nn import functional

from uncnn.plugins import geometry
from uncnn.plugins.api import Faces, UncnnError
from uncnn.plugins.generator.network import HEADS, MARGIN, SIDE
from uncnn.plugins.recognisers.sessions import make_session
from uncnn.plugins.recognisers.warp import warp

FILE, CARD_FILE = "onepass.onnx", "card.yaml"
INPUT: Final = "faces"
OUTPUTS: Final = tuple(f"values_{SIDE >> head}" for head in range(HEADS))
TEMPLATE: Final = geometry.ARCFACE_112 + MARGIN
NOISE: Final = 0.1  # share of the values


class GeneratorError(UncnnError):
    """The generator's file is missing, or another than its card says."""

    fault = "model"


@dataclass(frozen=True, slots=True)
class Generator:
    """A trained generator around its ONNX Runtime session."""

    session: Any

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Generator:
        """Return the generator of a folder, on so many cores. Raises GeneratorError: its files are not sound."""
        return cls(make_session(read_generator(folder), ["CPUExecutionProvider"], threads))

    def values(self, faces: Faces, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Return the values that are drawn, (N, 3, h, w) in -1..1, for bands of these `sizes`, finest first.

        The bands are those of a pyramid whose first band has the size of the patches: what each next one has is every
        second pixel of the one before. A tenth of them is noise of each face's own seed, so that two copies of a photo
        differ.
        """
        points = faces.landmarks.cpu().numpy().astype(np.float64)
        to_frame = geometry.similarities(points, TEMPLATE)
        matrices = torch.from_numpy(to_frame).to(faces.patches)
        crops = warp(faces.patches, matrices, SIDE, SIDE).cpu().numpy()
        outputs = self.session.run(OUTPUTS, {INPUT: np.ascontiguousarray(crops, np.float32)})
        drawn = [torch.from_numpy(each).to(faces.patches) for each in outputs]
        units = np.log2(np.hypot(to_frame[:, 0, 0], to_frame[:, 1, 0]))  # frame pixels to a patch pixel
        noise = NOISE * faces.noise(0)
        bands = (read_off(drawn, matrices, units + level, level, size) for level, size in enumerate(sizes))
        return [(1 - NOISE) * band + noise[:, :, : band.shape[2], : band.shape[3]] for band in bands]


def read_off(
    drawn: Sequence[Tensor], to_frame: Tensor, octaves: geometry.Floats, level: int, size: tuple[int, int]
) -> Tensor:
    """Return one band's values, (N, 3, h, w): between the heads whose densities are next to the band's own.

    `octaves` (N,) says how many times the band's pixels are 2 frame pixels wide, as a power of 2.
    """
    places = _places(to_frame, level, size)
    shares = np.clip(1 - np.abs(np.clip(octaves, 0, HEADS - 1)[:, None] - np.arange(HEADS)), 0, None)  # (N, heads)
    result = places.new_zeros(len(places), 3, *size)
    for head in range(HEADS):
        if not shares[:, head].any():
            continue
        share = torch.from_numpy(shares[:, head]).to(places)[:, None, None, None]
        side = drawn[head].shape[3] - 1
        grid = 2 * places / (2**head * side) - 1
        result += share * functional.grid_sample(drawn[head], grid, padding_mode="border", align_corners=True)
    return result


def _places(to_frame: Tensor, level: int, size: tuple[int, int]) -> Tensor:
    """Return where the pixels of a band lie in the frame, (N, h, w, 2) x, y in frame pixels."""
    height, width = size
    ys, xs = (torch.arange(side).to(to_frame) * 2**level for side in (height, width))
    points = torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)], dim=-1)
    linear, shift = to_frame[:, :, :2], to_frame[:, :, 2]
    return torch.einsum("nij,hwj->nhwi", linear, points) + shift[:, None, None, :]


def read_generator(folder: Path) -> bytes:
    """Return the bytes of the generator's file in `folder`, which are those that its card names.

    Raises:
        GeneratorError: a file is missing, or the generator is another one.
    """
    try:
        content, card = (folder / FILE).read_bytes(), yaml.safe_load((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise GeneratorError(f"the generator in {folder} cannot be read ({error}); train it anew") from error
    expected = card.get("sha256") if isinstance(card, dict) else None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise GeneratorError(f"{folder / FILE}: has the sha256 {found}, its card says {expected}; train it anew")
    return content
