"""A published recogniser that was trained further: its new weights in its own ONNX graph, half as long."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from torch import fx, nn

from uncnn.exporters.train.faces import TrainingError
from uncnn.plugins.recognisers.graph import plain

LAYERS = {"Conv": nn.Conv2d, "Gemm": nn.Linear}


def with_weights(original: ModelProto, network: fx.GraphModule) -> ModelProto:
    """Return the graph of `original` with the weights of `network`, which `load_graph` made of it.

    Convolutions and linear layers are trained; all else is as it was.

    Raises:
        TrainingError: the two are not of one making.
    """
    model = plain(original)
    constants = {constant.name: constant for constant in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in LAYERS]
    modules = (network.get_submodule(str(node.target)) for node in network.graph.nodes if node.op == "call_module")
    layers = [module for module in modules if isinstance(module, nn.Conv2d | nn.Linear)]
    if [LAYERS[node.op_type] for node in nodes] != [type(layer) for layer in layers]:
        raise TrainingError(f"the graph has {len(nodes)} trained layers and the network {len(layers)}; load it anew")
    for node, layer in zip(nodes, layers, strict=True):
        weight = layer.weight.detach().cpu().numpy()
        _replace(constants[node.input[1]], weight.T if _is_turned(node) else weight)
        if len(node.input) > 2 and layer.bias is not None:
            _replace(constants[node.input[2]], layer.bias.detach().cpu().numpy())
    onnx.checker.check_model(model)
    return model


def _replace(constant: TensorProto, values: np.ndarray) -> None:
    if tuple(constant.dims) != values.shape:
        raise TrainingError(f"{constant.name} is {tuple(constant.dims)}, and was trained as {values.shape}")
    constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), constant.name))


def _is_turned(node: NodeProto) -> bool:
    """Return whether a Gemm has its weight as (inputs, outputs), the other way round than torch."""
    turned = next((attribute.i for attribute in node.attribute if attribute.name == "transB"), 0)
    return node.op_type == "Gemm" and not turned
