"""The networks that spoofs are made against: recognisers that are installed, and one that is being trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import UncnnError
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cards import Card, Input
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser

IN_TRAINING: Final = "network in training"


class AugmentError(UncnnError):
    """A batch, a network or a value from which no spoofs can be made."""


class Embedding(nn.Module):
    """A recogniser as a network to train: images (N, 3, H, W) RGB in 0..1, aligned as it wants them, to embeddings."""

    def __init__(self, recogniser: Recogniser) -> None:
        """Take over the recogniser's network; its weights are trained from now on."""
        super().__init__()
        self.network = recogniser.network.requires_grad_(True)
        self._is_bgr = recogniser.card.input.order == "BGR"
        self.register_buffer("mean", recogniser.mean / 255)
        self.register_buffer("std", recogniser.std / 255)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings, (N, D), of `images`."""
        ordered = images.flip(1) if self._is_bgr else images
        result: Tensor = self.network((ordered - self.mean) / self.std)
        return result.flatten(1)


def folder_of(model: str | Path) -> Path:
    """Return the folder of a recogniser: a path, or the name of one that comes with uncnn. Raises AugmentError."""
    for folder in (Path(model), EMBEDDED / model):
        if (folder / "card.yaml").is_file():
            return folder
    shipped = ", ".join(sorted(each.name for each in EMBEDDED.iterdir() if (each / "card.yaml").is_file()))
    raise AugmentError(f"model {str(model)!r}: give the folder of a recogniser, or one of {shipped}, or a network")


def recognisers_of(
    models: Sequence[str | Path | nn.Module], points: Floats, size: tuple[int, int], device: torch.device
) -> list[Recogniser]:
    """Return the models as attacks ask them, on `device`.

    A network is shown the images as they are, in 0..1: `points` (5, 2) are the landmarks in them, `size` is their
    height and width.

    Raises:
        AugmentError: there is no such model. CardError, GraphError: it cannot be read.
    """
    return [
        _of_network(model, points, size, device)
        if isinstance(model, nn.Module)
        else load_recogniser(folder_of(model), str(device))
        for model in models
    ]


@contextmanager
def standing_still(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Let the networks answer as in use inside the block: dropout and the statistics of batches would move with it."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _of_network(network: nn.Module, points: Floats, size: tuple[int, int], device: torch.device) -> Recogniser:
    height, width = size
    fed = Input(height=height, width=width, order="RGB", mean=(0, 0, 0), std=(255, 255, 255))
    known: dict[str, Any] = {"name": IN_TRAINING, "input": fed, "sha256": ""}
    left, right, nose, one, other = ((float(x), float(y)) for x, y in points)
    card = Card.model_construct(template=(left, right, nose, one, other), **known)
    mean = torch.zeros(1, 3, 1, 1, device=device)
    return Recogniser(card, Path(), network, mean, mean + 255)
