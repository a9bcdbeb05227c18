"""A recogniser's files as they are loaded: each is read once, its hash is checked, and these very bytes are used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from uncnn.plugins.recognisers.cards import CARD_FILE, MODEL_FILE, Card, CardError
from uncnn.plugins.recognisers.reading import read_file

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

LARGEST_MODEL = 2**31 - 1
"""Bytes: what one ONNX file can hold at all."""


def read_model(folder: Path, card: Card) -> bytes:
    """Return the bytes of `model.onnx` in `folder`, which are the ones that `card` was written for.

    Raises:
        CardError: it is missing, has another SHA-256, is no ONNX file, or keeps weights in other files.
    """
    content = _checked(folder / MODEL_FILE, card, card.sha256)
    check_whole(folder / MODEL_FILE, content)
    return content


def check_whole(path: Path, content: bytes) -> None:
    """Check that `content`, of the ONNX file at `path`, is all of the model: a hash says nothing of other files.

    Raises:
        CardError: it is no ONNX file, or keeps weights in other files.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's parts raise their own
        raise CardError(f"{path}: is no ONNX file ({' '.join(str(error).split())[:200]}); install it again") from error
    if keeps_weights_elsewhere(model):
        raise CardError(f"{path}: keeps its weights in other files; save it as one file (onnx.save does)")


def keeps_weights_elsewhere(model: ModelProto) -> bool:
    """Return whether any tensor of `model`, wherever in it, lies in another file."""
    from onnx import TensorProto

    nodes = (node for function in model.functions for node in function.node)
    tensors = (*_tensors(model.graph), *(tensor for node in nodes for tensor in _tensors_of_node(node)))
    return any(tensor.data_location == TensorProto.EXTERNAL or tensor.external_data for tensor in tensors)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of_node(node)


def _tensors_of_node(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def _checked(path: Path, card: Card, expected: str) -> bytes:
    try:
        content = read_file(path, LARGEST_MODEL)
    except OSError as error:
        raise CardError(f"{path}: cannot be read ({error.strerror}); install {card.name} again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise CardError(
            f"{path}: its sha256 is {found}, but {path.with_name(CARD_FILE)} says {expected}: the model was changed or "
            f"damaged; install {card.name} again"
        )
    return content
