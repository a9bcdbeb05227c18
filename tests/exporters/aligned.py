"""Real faces as a recogniser is shown them, and how alike two networks are on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from uncnn.plugins.geometry import ARCFACE_112, similarities
from uncnn.plugins.recognisers.cards import Card, read_card
from uncnn.plugins.recognisers.graph import load_graph
from uncnn.plugins.recognisers.onnx_recogniser import crop
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

POINTS = ARCFACE_112 + 16  # where faces-144 has them


def aligned_faces(faces_144: Callable[[int], np.ndarray], card: Card, number: int) -> np.ndarray:
    """Return (N, height, width, 3) uint8 RGB, aligned to the card's template."""
    (matrix,) = similarities(POINTS[None], np.array(card.template))
    size = (card.input.width, card.input.height)
    return np.stack([crop(face, matrix, size) for face in faces_144(number)])


def normalised(faces: np.ndarray, card: Card) -> np.ndarray:
    """Return what the network is fed: (N, 3, height, width) float32."""
    shown = faces[..., ::-1] if card.input.order == "BGR" else faces
    pictures = (shown - np.array(card.input.mean)) / np.array(card.input.std)
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)


def embeddings(model: onnx.ModelProto | Path, pictures: np.ndarray) -> np.ndarray:
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pictures})[0]


def torch_embeddings(model: onnx.ModelProto, folder: Path, pictures: np.ndarray) -> np.ndarray:
    """Return what the graph gives that an attack differentiates."""
    path = folder / "model.onnx"
    onnx.save(model, path)
    with torch.no_grad():
        return load_graph(path)(torch.from_numpy(pictures)).numpy()


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.sum(first * second, axis=1) / lengths


def assert_plain(model: onnx.ModelProto, side: int, length: int) -> None:
    """Check what every conversion promises: names, shapes, a dynamic batch, float32."""
    onnx.checker.check_model(model, full_check=True)
    (entry,), (end,) = model.graph.input, model.graph.output
    assert (entry.name, end.name) == ("input", "embedding")
    sides = [[d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in (entry, end)]
    assert sides == [["N", 3, side, side], ["N", length]]
    kinds = {constant.data_type for constant in model.graph.initializer}
    assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


def assert_can_be_attacked(folder: Path, faces: np.ndarray) -> None:
    """The build compared torch with ONNX Runtime and checked the gradient; the attack then loads what it wrote."""
    built = read_card(folder)
    assert built.parity is not None
    assert built.parity <= 1e-4
    recogniser = load_recogniser(folder)
    crops = torch.from_numpy(faces[:2]).permute(0, 3, 1, 2).float().requires_grad_()
    (gradient,) = torch.autograd.grad(recogniser.outputs(crops).square().sum(), crops)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().amax((1, 2, 3)).min() > 0
