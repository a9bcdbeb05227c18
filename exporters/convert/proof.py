"""Proof that a recogniser can be attacked and checked: both runtimes agree, and the gradient is a true one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, fx, nn
from torch.nn import functional

from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import Card
from uncnn.plugins.recognisers.sessions import make_session

Floats: TypeAlias = npt.NDArray[np.float32]
Faces: TypeAlias = npt.NDArray[np.uint8]

PARITY_LIMIT = 1e-4
"""Of |torch - ONNX Runtime|: of unit embeddings where they are compared by cosine, of raw ones where by distance."""

GRADIENT_LIMIT = 1e-3
"""Of the difference between gradient and finite differences along a direction, as a share of the gradient's length."""

STEP = 1e-8
"""Of the finite differences, in the network's own input, where a picture spans about 2, or 255 grey levels.

Found by trying 1e-5 to 1e-9 on ten recognisers: larger ones cross kinks (ReLU, PReLU, a maximum), which errs by up to
1e-2; at 1e-8 the worst is 3e-6, and below it float64 rounds.
"""

CHUNK = 16  # pictures a run
PICTURES = 6  # where no faces are given


class BuildError(UncnnError):
    """A converted recogniser that is not what it should be: it differs between runtimes, or has no true gradient."""


def pictures_of(card: Card, faces: Faces | None) -> Floats:
    """Return what the network is fed, (N, 3, H, W), of aligned `faces`, or of fixed smooth pictures without any.

    Raises:
        BuildError: the faces are not (N, H, W, 3) uint8 of the card's input.
    """
    size = (card.input.height, card.input.width)
    if faces is None:
        faces = _smooth(*size)
    if faces.ndim != 4 or faces.dtype != np.uint8 or not len(faces) or faces.shape[1:] != (*size, 3):
        raise BuildError(
            f"{card.name}: faces are {faces.dtype} of shape {faces.shape}: give (N, {size[0]}, {size[1]}, 3) uint8"
        )
    return card.input.prepare(faces)


def _smooth(height: int, width: int) -> Faces:
    """Return the same random pictures every time, (6, H, W, 3): as smooth as a face, where pure noise is not."""
    coarse = np.random.default_rng(0).integers(0, 256, (PICTURES, 8, 8, 3), np.uint8)
    size = (width, height)
    return np.stack([np.asarray(Image.fromarray(each).resize(size, Image.Resampling.BICUBIC)) for each in coarse])


def embeddings_of(model: Path, card: Card, pictures: Floats) -> Floats:
    """Return what ONNX Runtime gives, (N, D), in runs of 16 and of one: the batch must not change it.

    Raises:
        BuildError: the graph does not run, gives no embeddings of the card's length, or the batch changes them.
    """
    try:
        session = make_session(model.read_bytes(), ["CPUExecutionProvider"])
        parts = [pictures[start : start + CHUNK] for start in range(0, len(pictures), CHUNK)]
        found = np.concatenate([session.run(["embedding"], {"input": part})[0] for part in parts])
        alone = session.run(["embedding"], {"input": pictures[:1]})[0]
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        raise BuildError(f"{card.name}: does not run in ONNX Runtime ({_words(error)}); convert it again") from error
    if found.shape != (len(pictures), card.embedding) or not np.isfinite(found).all():
        raise BuildError(
            f"{card.name}: gives {found.shape} of {found.dtype}, where its card says {card.embedding} finite numbers a "
            "face; correct `embedding` or the input in the card"
        )
    if difference(card, alone, found[:1]) > PARITY_LIMIT:
        raise BuildError(f"{card.name}: a face alone is embedded otherwise than among others; convert it again")
    return np.asarray(found, np.float32)


def difference(card: Card, left: Floats, right: Floats) -> float:
    """Return the largest |left - right|, of unit embeddings where the card compares by cosine; NaN is infinite."""
    one, other = (_unit(each) if card.metric == "cosine" else each for each in (left, right))
    return float(np.nan_to_num(np.abs(one - other), nan=np.inf).max())


def _unit(embeddings: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), np.float32)


def parity(card: Card, networks: Sequence[nn.Module], pictures: Floats, expected: Floats) -> float:
    """Return the largest difference between `networks` in torch and what ONNX Runtime gives, `expected` (N, D).

    Raises:
        BuildError: it is more than `PARITY_LIMIT`, or a network does not run.
    """
    largest = 0.0
    for network in networks:
        try:
            with torch.inference_mode():
                parts = torch.split(torch.from_numpy(pictures), CHUNK)
                found = torch.cat([network(part).flatten(1) for part in parts]).numpy()
            largest = max(largest, difference(card, found, expected))
        except Exception as error:  # whatever torch says of a graph that does not fit its input
            raise BuildError(f"{card.name}: does not run in torch ({_words(error)}); convert it again") from error
    if not largest <= PARITY_LIMIT:
        import onnxruntime

        raise BuildError(
            f"{card.name}: onnxruntime {onnxruntime.__version__} and torch {torch.__version__} differ by "
            f"{largest:.1e}, more than {PARITY_LIMIT:.0e}; install another version of one of them"
        )
    return largest


def check_gradient(card: Card, network: nn.Module, pictures: Floats) -> float:
    """Return how far the gradient of a cosine is from central finite differences, as a share of its length.

    It is that of the cosine of one picture's embedding to another's, in float64, along itself and two random
    directions. A little noise is laid over the picture: flat skin gives equal neighbours, and a maximum of equals has
    no derivative.

    Raises:
        BuildError: there is no gradient, it is not finite, or it is further off than `GRADIENT_LIMIT`.
    """
    network, (picture, other) = doubled(network), _two_of(pictures)
    with torch.no_grad():
        anchor = network(other).flatten(1)

    def value(at: Tensor) -> Tensor:
        return functional.cosine_similarity(network(at).flatten(1), anchor).sum()

    (gradient,) = torch.autograd.grad(value(picture), picture, allow_unused=True, materialize_grads=True)
    length = float(gradient.norm())
    if not 0 < length < np.inf:
        raise BuildError(f"{card.name}: its gradient is {length}: it cannot be attacked; take its float32 file")
    generator = torch.Generator().manual_seed(1)
    directions = [torch.randn(gradient.shape, generator=generator, dtype=torch.float64) for _ in range(2)]
    worst = 0.0
    with torch.inference_mode():
        for direction in [gradient / length * gradient.numel() ** 0.5, *directions]:
            measured = float(value(picture + STEP * direction) - value(picture - STEP * direction)) / (2 * STEP)
            stated = float((gradient * direction).sum())
            worst = max(worst, abs(measured - stated) / max(length, abs(stated)))
    if not worst <= GRADIENT_LIMIT:
        raise BuildError(
            f"{card.name}: its gradient and finite differences are {worst:.1e} of its length apart, more than "
            f"{GRADIENT_LIMIT:.0e}: an operation in it has no true derivative; take its float32 file"
        )
    return worst


def _two_of(pictures: Floats) -> tuple[Tensor, Tensor]:
    """Return the first picture under a little noise, ready to be differentiated, and another one, in float64."""
    noise = torch.randn(pictures[:1].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    first = torch.from_numpy(pictures[:1]).double()
    second = torch.from_numpy(pictures[1:2]).double() if len(pictures) > 1 else first.flip(3)
    return (first + 1e-3 * noise).requires_grad_(), second


def doubled(network: nn.Module) -> nn.Module:
    """Return a copy of `network` in float64, those casts included that its graph names as float32."""
    double = copy.deepcopy(network).double()
    for module in double.modules():
        if getattr(module, "torch_dtype", None) is torch.float32:  # onnx2torch's Cast
            module.torch_dtype = torch.float64  # type: ignore[assignment]
    if isinstance(double, fx.GraphModule):
        for node in double.graph.nodes:
            node.args = tuple(_double_type(each) for each in node.args)
            node.kwargs = {name: _double_type(each) for name, each in node.kwargs.items()}
        double.recompile()
    return double


def _double_type(argument: object) -> object:
    return torch.float64 if argument is torch.float32 else argument


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
