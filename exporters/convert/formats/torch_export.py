"""A torch network as the ONNX graph that every format gives: float32, opset 18, a dynamic batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from onnx import ModelProto
from torch import Tensor, nn

OPSET = 18


def onnx_of(
    network: nn.Module,
    examples: Sequence[Tensor],
    inputs: Sequence[str] = ("input",),
    outputs: Sequence[str] = ("embedding",),
) -> ModelProto:
    """Return `network` as ONNX whose inputs and outputs have these names, for any number of what `examples` has two of.

    torch.onnx folds each normalisation that follows a convolution. What it notes about each node, the paths of this
    machine among it, is left out: the same weights give the same bytes anywhere.
    """
    number = torch.export.Dim("N")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.onnx speaks of its own parts
        program = torch.onnx.export(
            network.eval(),
            tuple(examples),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=({0: number},) * len(examples),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None, "torch.onnx gives None only where it writes a file"
    model: ModelProto = program.model_proto
    return plainly_named(model)


def plainly_named(model: ModelProto) -> ModelProto:
    """Return `model` without the notes of the tool that made it."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
        part.doc_string = ""
    graph.name = "recogniser"
    return model
