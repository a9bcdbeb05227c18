"""A recogniser's folder, built: the graph, its card, and proof that it can be attacked and checked.

The folder is made beside its place and renamed, so that no half of it is ever seen.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from uncnn.exporters.convert.proof import (
    BuildError,
    Faces,
    check_gradient,
    embeddings_of,
    parity,
    pictures_of,
)
from uncnn.exporters.registry.installation import install, private_folder
from uncnn.plugins.recognisers.cards import MODEL_FILE, Card, sha256_of, write_card
from uncnn.plugins.recognisers.graph import GraphError, load_graph

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

__all__ = ["BuildError", "build"]


def build(
    model: ModelProto,
    card: Card,
    destination: Path,
    *,
    faces: Faces | None = None,
    network: nn.Module | None = None,
) -> Path:
    """Write `<destination>/<card.name>` with `model.onnx` and `card.yaml`, proven, and return that folder.

    Parity is that of the graph that the attack will use, and of `network` where it is given, with ONNX Runtime.

    Args:
        model: as `formats.convert` returns it.
        card: what is known; `sha256` and `parity` are filled in here, whatever they say.
        destination: the folder of models; it is made where it is missing.
        faces: aligned crops of the card's input size, (N, H, W, 3) uint8 RGB; by default fixed smooth pictures.
        network: the network as its authors wrote it for torch, see `formats.torch_network`.

    Raises:
        BuildError: the graph does not fit the card, torch cannot take it or differs from ONNX Runtime, or the gradient
        is wrong.
        OSError: `destination` cannot be written or is full.
    """
    pictures = pictures_of(card, faces)
    _check_form(model, card)
    with private_folder(destination, card.name) as place:
        built = place / card.name
        built.mkdir()
        _write(built / MODEL_FILE, model.SerializeToString())
        expected = embeddings_of(built / MODEL_FILE, card, pictures)
        attacked = _attackable(built, card)
        networks = [attacked] if network is None else [attacked, network.eval()]
        measured = parity(card, networks, pictures, expected)
        check_gradient(card, attacked, pictures)
        write_card(card.model_copy(update={"sha256": sha256_of(built / MODEL_FILE), "parity": measured}), built)
        install(built, destination / card.name)
    return destination / card.name


def _attackable(built: Path, card: Card) -> nn.Module:
    """Return the torch graph of `built`'s model."""
    try:
        return load_graph(built / MODEL_FILE)
    except GraphError as error:
        raise BuildError(
            f"{card.name}: torch cannot take its graph ({error.__cause__}), so it could not be attacked; convert it "
            "from the checkpoint that it was exported from, or use another recogniser"
        ) from error


def _check_form(model: ModelProto, card: Card) -> None:
    """Refuse a graph that is not one picture of the card's size in, one embedding of the card's length out."""
    values = {value.name: value for value in (*model.graph.input, *model.graph.output)}
    shapes = {name: [side.dim_value for side in value.type.tensor_type.shape.dim][1:] for name, value in values.items()}
    expected = {"input": [3, card.input.height, card.input.width], "embedding": [card.embedding]}
    if shapes != expected:
        raise BuildError(f"{card.name}: its graph is {shapes} a face, its card {expected}; correct the card")


def _write(path: Path, content: bytes) -> None:
    """Write a file down to the disk: the rename that follows must not overtake it."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
