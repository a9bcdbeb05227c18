"""A recogniser that can be attacked: its card, its torch graph and its own view of a face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from uncnn.plugins import geometry
from uncnn.plugins.recognisers.cards import MODEL_FILE, Card, Points, read_card
from uncnn.plugins.recognisers.graph import load_graph
from uncnn.plugins.recognisers.model_files import read_model
from uncnn.plugins.recognisers.warp import warp

Frame: TypeAlias = tuple[Points, int, int]
"""What recognisers that are shown the same crop have in common: the template of the landmarks, height and width."""


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A differentiable face recogniser on one device."""

    card: Card
    folder: Path  # of the model
    network: torch.nn.Module
    mean: Tensor  # (1, 3, 1, 1) grey levels, in the card's channel order
    std: Tensor

    @property
    def frame(self) -> Frame:
        """Return where in its crops the landmarks lie, and how large these are."""
        return self.card.template, self.card.input.height, self.card.input.width

    def crops(self, patches: Tensor, landmarks: geometry.Floats) -> Tensor:
        """Return what the recogniser is shown of `patches` (N, 3, P, P): (N, 3, height, width), RGB in 0..255.

        `landmarks` is (N, 5, 2) in patch pixels.
        """
        matrices = torch.from_numpy(geometry.similarities(landmarks, np.array(self.card.template)))
        return warp(patches, matrices.to(patches), self.card.input.height, self.card.input.width)

    def outputs(self, crops: Tensor) -> Tensor:
        """Return the network's own embeddings, (N, D), of aligned crops in RGB 0..255."""
        ordered = crops.flip(1) if self.card.input.order == "BGR" else crops
        result: Tensor = self.network((ordered - self.mean) / self.std)
        return result.flatten(1)

    def embed(self, patches: Tensor, landmarks: geometry.Floats) -> Tensor:
        """Return unit embeddings, (N, D), of the faces at `landmarks` in `patches`."""
        return functional.normalize(self.outputs(self.crops(patches, landmarks)), dim=1)


def load_recogniser(folder: Path, device: str = "cpu") -> Recogniser:
    """Return the recogniser of a model folder (`model.onnx`, `card.yaml`), ready to differentiate.

    It is made from the very bytes whose hash was checked.

    Raises:
        CardError: the card is wrong or a file's sha256 is not the card's.
        GraphError: the model cannot be turned into a torch graph.
    """
    card = read_card(folder)
    network = load_graph(folder / MODEL_FILE, read_model(folder, card))
    mean = torch.tensor(card.input.mean, dtype=torch.float32, device=device).view(1, 3, 1, 1)
    std = torch.tensor(card.input.std, dtype=torch.float32, device=device).view(1, 3, 1, 1)
    return Recogniser(card, folder, network.to(device), mean, std)
