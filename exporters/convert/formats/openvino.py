"""OpenVINO's graphs as ONNX: what Open Model Zoo publishes.

What the graph does to the picture before its first filter (scale, mean) stays in it: the card then says a mean of 0 and
a standard deviation of 1. Weights stored as FP16 become float32 without loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.onnx_graph import Graph, Shape
from uncnn.exporters.convert.formats.openvino_call import Call, Value
from uncnn.exporters.convert.formats.openvino_file import REMEDY, Layer, Network, read_openvino
from uncnn.exporters.convert.formats.openvino_operators import translate

if TYPE_CHECKING:
    from onnx import ModelProto


def convert(files: Sequence[Path], architecture: str | None = None) -> ModelProto:
    """Return the recogniser in an `.xml` and its `.bin` as ONNX, (N, 3, H, W) float32 -> (N, D) float32.

    The picture is NCHW in the order of channels that the file expects (Open Model Zoo: BGR in 0..255).

    Args:
        files: the `.xml` and the `.bin`, in any order.
        architecture: not needed; the file holds its own.

    Raises:
        FormatError: a file is missing, damaged or hostile, or has an operator that is not understood.
    """
    del architecture
    by_suffix = {file.suffix.lower(): file for file in files}
    if sorted(by_suffix) != [".bin", ".xml"] or len(files) != 2:
        names = ", ".join(str(file) for file in files) or "none"
        raise FormatError(f"an OpenVINO model is an .xml and a .bin, and {names} were given: give those two files")
    network = read_openvino(by_suffix[".xml"], by_suffix[".bin"])
    return _onnx(network, Graph(by_suffix[".xml"], REMEDY))


def _onnx(network: Network, graph: Graph) -> ModelProto:
    values: dict[str, Value] = {}
    declared: dict[str, Shape] = {}
    for key, layer in network.layers.items():
        if layer.kind == "Result":
            continue
        inputs = [values[source] for source in layer.sources]
        value = _value(graph, layer, inputs)
        values[key] = value
        if isinstance(value, str) and min(layer.shape[1:], default=0) > 0:
            declared[value] = layer.shape
    picture = _one(graph, network, "Parameter")
    output = values[_one(graph, network, "Result").sources[0]]
    if not isinstance(output, str):
        raise graph.wrong("its result does not depend on the picture")
    return graph.model(network.name, picture.shape[1:], output, declared)


def _value(graph: Graph, layer: Layer, inputs: list[Value]) -> Value:
    if layer.kind == "Parameter":
        return "input"
    if layer.values is not None:
        return layer.values
    return translate(Call(graph, layer, inputs))


def _one(graph: Graph, network: Network, kind: str) -> Layer:
    found = [layer for layer in network.layers.values() if layer.kind == kind]
    if len(found) != 1 or (kind == "Result" and len(found[0].sources) != 1):
        raise graph.wrong(f"it has {len(found)} layers of the kind {kind}, and a recogniser has one")
    return found[0]
