"""MXNet's graphs as ONNX: what insightface and MobileFace published.

Each batch normalisation is folded into the convolution before it. Where the graph begins with what it does to grey
levels ((x - 127.5) / 128, mostly), that is left out: the card says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uncnn.exporters.convert.formats import FormatError
from uncnn.exporters.convert.formats.mxnet_call import Call, Linear, Value
from uncnn.exporters.convert.formats.mxnet_file import REMEDY, Network, read_mxnet
from uncnn.exporters.convert.formats.mxnet_operators import SCALARS, emit, translate
from uncnn.exporters.convert.formats.onnx_graph import Graph

if TYPE_CHECKING:
    from onnx import ModelProto

SIDES = ((112, 112), (112, 96), (128, 128), (160, 160), (96, 96), (224, 224))
"""Height and width, tried in this order: the files do not say them, and the last layer fits one."""


def convert(files: Sequence[Path], architecture: str | None = None) -> ModelProto:
    """Return the recogniser in a `.params` and its `-symbol.json` as ONNX, (N, 3, H, W) float32 -> (N, D) float32.

    Args:
        files: the two files, in any order.
        architecture: not needed; the files hold their own.

    Raises:
        FormatError: a file is missing, damaged or hostile, or has an operator that is not understood.
    """
    del architecture
    symbol, params = _two(files)
    network = read_mxnet(symbol, params)
    picture, _, _ = _grey_levels(network)
    complaint: FormatError | None = None
    for height, width in SIDES:
        graph = Graph(symbol, REMEDY)
        output = _translated(network, graph, picture)
        try:
            return graph.model("recogniser", (3, height, width), output, {})
        except FormatError as error:
            complaint = complaint or error  # that of the size that is the usual one
    assert complaint is not None
    raise complaint


def normalisation(files: Sequence[Path]) -> tuple[float, float]:
    """Return the mean and the standard deviation, grey levels, that the graph itself applies and `convert` leaves out.

    Raises:
        FormatError: as `convert`.
    """
    _, scale, shift = _grey_levels(read_mxnet(*_two(files)))
    return -shift / scale, 1 / scale


def _two(files: Sequence[Path]) -> tuple[Path, Path]:
    by_suffix = {file.suffix.lower(): file for file in files}
    if sorted(by_suffix) != [".json", ".params"] or len(files) != 2:
        names = ", ".join(str(file) for file in files) or "none"
        raise FormatError(
            f"an MXNet model is a .params and its -symbol.json, and {names} were given: give those two files"
        )
    return by_suffix[".json"], by_suffix[".params"]


def _grey_levels(network: Network) -> tuple[int, float, float]:
    """Return the node that is fed, and the scale and shift that the nodes before it apply to grey levels."""
    entries = (
        n for n, node in enumerate(network.nodes) if node.operator == "null" and node.name not in network.weights
    )
    fed, scale, shift = next(entries, 0), 1.0, 0.0
    while True:
        users = [number for number, node in enumerate(network.nodes) if fed in node.inputs]
        if len(users) != 1 or network.nodes[users[0]].operator not in SCALARS:
            return fed, scale, shift
        try:
            factor, term = SCALARS[network.nodes[users[0]].operator](
                float(network.nodes[users[0]].attributes["scalar"])
            )
        except (KeyError, ValueError, ZeroDivisionError):
            return fed, scale, shift
        if factor == 0:
            return fed, scale, shift
        fed, scale, shift = users[0], scale * factor, shift * factor + term


def _translated(network: Network, graph: Graph, picture: int) -> str:
    """Write the network into `graph` and return the name of the embedding."""
    values: dict[int, Value | Linear] = {picture: Value("input", 4)}
    uses = [0] * len(network.nodes)
    for node in network.nodes:
        for number in node.inputs:
            uses[number] += 1
    normalised = {node.inputs[0] for node in network.nodes if node.operator == "BatchNorm" and node.inputs}
    for number, node in enumerate(network.nodes):
        if number <= picture or node.operator == "null":
            continue
        weights = [network.weights.get(network.nodes[each].name) for each in node.inputs]
        value = translate(Call(graph, node, [values.get(each) for each in node.inputs], weights))
        folds = number in normalised and uses[number] == 1 and number != network.output
        values[number] = value if folds or isinstance(value, Value) else emit(graph, value)
    output = values.get(network.output)
    if not isinstance(output, Value) or output.name == "input":
        raise graph.wrong("its output does not depend on the picture")
    return output.name
