"""ESP-DL's networks for microcontrollers as ONNX: int8 weights and their powers of two as float32.

Activations are not rounded to 8 bits as the microcontroller's are: what is attacked is the network that was quantised,
and the gradient is a true one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uncnn.exporters.convert.formats import only_file
from uncnn.exporters.convert.formats.espdl_call import TO_LAST, Call, Value
from uncnn.exporters.convert.formats.espdl_file import REMEDY, Network, read_espdl
from uncnn.exporters.convert.formats.espdl_operators import translate
from uncnn.exporters.convert.formats.onnx_graph import Graph, Shape

if TYPE_CHECKING:
    from onnx import ModelProto


def convert(files: Sequence[Path], architecture: str | None = None) -> ModelProto:
    """Return the recogniser in an `.espdl` file as ONNX, (N, 3, H, W) float32 -> (N, D) float32.

    Args:
        files: the one file.
        architecture: not needed; the file holds its own.

    Raises:
        FormatError: the file is missing, damaged or hostile, or has an operator that is not understood.
    """
    del architecture
    path = only_file(files, "an ESP-DL model")
    network = read_espdl(path)
    return _onnx(network, Graph(path, REMEDY))


def _onnx(network: Network, graph: Graph) -> ModelProto:
    values = {network.input: Value("input", moved=True)}
    declared: dict[str, Shape] = {}
    for node in network.nodes:
        operands = [values.get(name) or network.tensors.get(name) for name in node.inputs]
        missing = [name for name, operand in zip(node.inputs, operands, strict=True) if name and operand is None]
        if missing:
            raise graph.wrong(f"its node {node.name!r} takes {missing[0]!r:.80}, which nothing before it gives")
        value = translate(Call(graph, node, operands))
        values[node.output] = value
        shape = network.shapes.get(node.output, ())
        if shape:
            declared[value.name] = _shown(shape) if value.moved else shape
    picture = network.shapes.get(network.input, ())
    if network.output not in values or len(picture) != 4:
        raise graph.wrong(f"its output {network.output!r:.80} comes from no node, or its input {picture} is no picture")
    return graph.model(network.name, _shown(picture)[1:], _end(network, graph, values[network.output]), declared)


def _shown(shape: Shape) -> Shape:
    """Return a shape NHWC as NCHW."""
    return (shape[0], shape[-1], *shape[1:-1]) if len(shape) == 4 else shape


def _end(network: Network, graph: Graph, value: Value) -> str:
    """Return the ONNX value to flatten: the file's own order counts where more than channels are left."""
    if value.moved and math.prod(network.shapes.get(network.output, (0,))[1:3]) != 1:
        return graph.add("Transpose", value.name, perm=TO_LAST)
    return value.name
