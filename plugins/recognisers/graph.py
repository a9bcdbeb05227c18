"""An exported recogniser as a differentiable torch graph."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference
from torch import Tensor, fx

from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.graph_opset import lower
from uncnn.plugins.recognisers.model_files import keeps_weights_elsewhere
from uncnn.plugins.recognisers.onnx_converter import torch_graph

# Its Slice indexes with a list where torch wants a tuple; torch falls back to what is meant, and says so at each start.
warnings.filterwarnings("ignore", message="Using a non-tuple sequence", module=r"onnx2torch\..*")


class GraphError(UncnnError):
    """A model file that cannot be read or turned into a torch graph."""


def load_graph(path: Path, content: bytes | None = None) -> torch.nn.Module:
    """Return the network of the ONNX file at `path` as a frozen torch module, (N, 3, H, W) -> (N, D), float32.

    `content` is what is in the file, where it was read already.

    Raises:
        GraphError: the file is no ONNX model, or an operation in it has no torch counterpart.
    """
    try:
        model = onnx.load_model_from_string(path.read_bytes() if content is None else content)
        if keeps_weights_elsewhere(model):
            raise GraphError("it keeps its weights in other files")
        network = _with_quick_parts(torch_graph(plain(model)))
    except Exception as error:  # onnx, onnxscript and onnx2torch raise whatever their own parts raise
        raise GraphError(f"{path}: cannot be attacked ({type(error).__name__}: {error}); export it again") from error
    return network.eval().requires_grad_(False)


class PRelu(torch.nn.Module):
    """PReLU in operations whose gradient by the slope nobody computes: a tenth of an attack's time is saved."""

    def forward(self, values: Tensor, slope: Tensor) -> Tensor:
        """Return `values` (N, C, ...) where they are positive, else times `slope`, which broadcasts to them."""
        return torch.addcmul(slope * values, 1 - slope, torch.relu(values))


class Extremum(torch.nn.Module):
    """Min or Max of two tensors. onnx2torch's asks `torch.broadcast_shapes`, which imports all of sympy."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.function = {"Min": torch.minimum, "Max": torch.maximum}[kind]

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the smaller or larger of each two numbers; of equal ones each gets half of the gradient."""
        return self.function(one, other)


def _with_quick_parts(network: fx.GraphModule) -> fx.GraphModule:
    from onnx2torch.node_converters.activations import OnnxPReLU
    from onnx2torch.node_converters.min_max import OnnxMinMax

    for node in network.graph.nodes:
        if node.op != "call_module":
            continue
        module = network.get_submodule(node.target)
        if isinstance(module, OnnxPReLU):
            network.set_submodule(node.target, PRelu())
        elif isinstance(module, OnnxMinMax) and len(node.args) == 2:
            network.set_submodule(node.target, Extremum(module._op_type))
    return network


def plain(model: ModelProto) -> ModelProto:
    """Return `model` with constants folded and in the words of opset 17 that onnx2torch takes.

    Folding comes first: onnx2torch fails on Clip bounds and LayerNormalization shapes that are computed.
    """
    model = shape_inference.infer_shapes(_widened(model), data_prop=True)
    model = lower(model if is_folded(model) else _folded(model))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "CumSum":
            _spell_out_reverse(node)
        elif node.op_type == "Reshape" and node.input[1] in constants:
            _drop_allowzero(node, numpy_helper.to_array(constants[node.input[1]]).tolist())
    return shape_inference.infer_shapes(model, data_prop=True)


def is_folded(model: ModelProto) -> bool:
    """Return whether there is nothing to fold: each operation depends on the picture, and none asks for its shape.

    What ships is so, and then onnxscript is not imported, which takes longer than all else here together.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    return not model.functions and all(
        node.op_type not in {"Shape", "Size"} and any(name and name not in constants for name in node.input)
        for node in model.graph.node
    )


def _folded(model: ModelProto) -> ModelProto:
    from onnxscript import optimizer

    folded: ModelProto = optimizer.optimize(model)
    return folded


def _widened(model: ModelProto) -> ModelProto:
    """Return `model` with constants that are stored as float16 and cast to float32 stored as float32.

    The optimizer folds small ones alone, and onnx2torch takes weights from constants alone.
    """
    result = ModelProto()
    result.CopyFrom(model)
    halves = {each.name: each for each in result.graph.initializer if each.data_type == TensorProto.FLOAT16}
    casts = [node for node in result.graph.node if node.op_type == "Cast" and node.input[0] in halves]
    for cast in (cast for cast in casts if cast.attribute[0].i == TensorProto.FLOAT):
        values = numpy_helper.to_array(halves[cast.input[0]]).astype(np.float32)
        result.graph.initializer.append(numpy_helper.from_array(values, cast.output[0]))
        result.graph.node.remove(cast)
    used = {name for node in result.graph.node for name in node.input}
    kept = [each for each in result.graph.initializer if each.name not in halves or each.name in used]
    del result.graph.initializer[:]
    result.graph.initializer.extend(kept)
    return result


def _spell_out_reverse(node: NodeProto) -> None:
    """Write the standard's default down: onnx2torch 1.5 takes a missing `reverse` for 1."""
    if all(attribute.name != "reverse" for attribute in node.attribute):
        node.attribute.append(helper.make_attribute("reverse", 0))


def _drop_allowzero(node: NodeProto, shape: list[int]) -> None:
    """Remove `allowzero` where the shape holds no zero: it changes nothing there, and onnx2torch refuses it."""
    if 0 not in shape:
        kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
        del node.attribute[:]
        node.attribute.extend(kept)
