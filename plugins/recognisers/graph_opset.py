"""Newer ONNX in the words of opset 17, the last one whose every operation onnx2torch 1.5 can be asked about.

Since then most operations only took more types; what changed its meaning is rewritten here, and everything else is
refused, so that nothing is silently read by an older rule. https://github.com/onnx/onnx/blob/main/docs/Changelog.md
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, defs, helper, numpy_helper, shape_inference

OPSET = 17

WIDENED = """
    Acos Asin Atan Cast Celu Constant ConstantOfShape Conv ConvTranspose Cos DepthToSpace Dropout Einsum Elu Equal
    EyeLike Flatten GlobalAveragePool HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN MaxPool Mod
    Range ReduceSum Reshape Round Selu Shape Sin Softplus Softsign Squeeze Tan TopK Transpose Unsqueeze
"""
"""What only took more types since opset 17."""

REDUCTIONS = """
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare
"""
"""Their axes were an attribute until opset 17, and are an input since."""


class OpsetError(Exception):
    """An operation of a newer opset that has no equal in opset 17; `load_graph` says which file it is in."""


def lower(model: ModelProto) -> ModelProto:
    """Return `model`, constants folded, in opset 17; one that is no newer is returned as it is.

    Raises:
        OpsetError: an operation changed its meaning since, and has no equal.
    """
    opset = next((entry for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), None)
    if opset is None or opset.version <= OPSET:
        return model
    lowering = _Lowering(model)
    nodes = [lowered for node in model.graph.node for lowered in lowering.node(node, opset.version)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(lowering.added)
    opset.version = OPSET
    return model


class _Lowering:
    """What is known of the graph, and the constants that the older words need."""

    def __init__(self, model: ModelProto) -> None:
        inferred = shape_inference.infer_shapes(model, data_prop=True).graph
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        values = [*inferred.value_info, *inferred.input, *inferred.output]
        self._shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in values}
        self.added = list(model.graph.initializer)[:0]

    def node(self, node: NodeProto, opset: int) -> list[NodeProto]:
        """Return the nodes of opset 17 that do what `node` does in `opset`."""
        if node.domain not in {"", "ai.onnx"} or _unchanged(node, opset):
            return [node]
        if node.op_type in REDUCTIONS.split():
            return self._reduction(node)
        if node.op_type == "Split":
            return [self._split(node)]
        if node.op_type == "Gelu":
            return self._gelu(node)
        if node.op_type == "AveragePool" and set(_attribute(node, "dilations", [1])) == {1}:
            return [_without(node, "dilations")]
        raise OpsetError(f"{node.op_type} of opset {opset} has no equal in opset {OPSET}")

    def _constant(self, node: NodeProto, position: int) -> list[int]:
        name = node.input[position]
        if name not in self._constants:
            raise OpsetError(f"{node.op_type} has a computed {name}")
        values: list[int] = numpy_helper.to_array(self._constants[name]).reshape(-1).tolist()
        return values

    def _add(self, name: str, value: object, kind: type[np.generic]) -> str:
        self.added.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def _reduction(self, node: NodeProto) -> list[NodeProto]:
        """Axes were an attribute; without any, `noop_with_empty_axes` says whether all are meant."""
        axes = self._constant(node, 1) if len(node.input) > 1 and node.input[1] else []
        if not axes and _attribute(node, "noop_with_empty_axes", 0):
            return [helper.make_node("Identity", node.input[:1], node.output)]
        kept = _without(node, "noop_with_empty_axes")
        del kept.input[1:]
        if axes:
            kept.attribute.append(helper.make_attribute("axes", axes))
        return [kept]

    def _split(self, node: NodeProto) -> NodeProto:
        """`num_outputs` gives equal parts, the last one smaller where they do not divide; the parts were an input."""
        if len(node.input) > 1 and node.input[1]:
            return node
        count = _attribute(node, "num_outputs", len(node.output))
        shape = self._shapes.get(node.input[0], [])
        size = shape[_attribute(node, "axis", 0)] if shape else 0
        if size <= 0:
            raise OpsetError("Split along an axis of unknown length")
        part = math.ceil(size / count)
        parts = [part] * (count - 1) + [size - part * (count - 1)]
        kept = _without(node, "num_outputs")
        kept.input[:] = [node.input[0], self._add(f"{node.output[0]}.parts", parts, np.int64)]
        return kept

    def _gelu(self, node: NodeProto) -> list[NodeProto]:
        """X / 2 * (1 + erf(x / sqrt(2))), Hendrycks and Gimpel 2016; the tanh form is another function."""
        if _attribute(node, "approximate", b"none") != b"none":
            raise OpsetError("Gelu by its tanh approximation")
        x, y = node.input[0], node.output[0]
        root, one, half = (
            self._add(f"{y}.{name}", value, np.float32)
            for name, value in (("root", 0.5**0.5), ("one", 1), ("half", 0.5))
        )
        return [
            helper.make_node("Mul", [x, root], [f"{y}.scaled"]),
            helper.make_node("Erf", [f"{y}.scaled"], [f"{y}.erf"]),
            helper.make_node("Add", [f"{y}.erf", one], [f"{y}.share"]),
            helper.make_node("Mul", [x, half], [f"{y}.halved"]),
            helper.make_node("Mul", [f"{y}.halved", f"{y}.share"], [y]),
        ]


def _unchanged(node: NodeProto, opset: int) -> bool:
    """Return whether `node` means in opset 17 what it means in `opset`."""
    if node.op_type == "Pad":  # since 18 of chosen axes, since 19 around the edge
        return len(node.input) < 4 and _attribute(node, "mode", b"constant") != b"wrap"
    return node.op_type in WIDENED.split() or defs.get_schema(node.op_type, opset, "").since_version <= OPSET


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def _without(node: NodeProto, name: str) -> NodeProto:
    """Return a copy of `node` without the attribute `name`."""
    kept = NodeProto()
    kept.CopyFrom(node)
    attributes = [attribute for attribute in node.attribute if attribute.name != name]
    del kept.attribute[:]
    kept.attribute.extend(attributes)
    return kept
