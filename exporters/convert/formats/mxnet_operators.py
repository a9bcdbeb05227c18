"""Each operator of MXNet in ONNX's words; their rules are those of Apache MXNet 1.x (`src/operator`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.exporters.convert.formats.mxnet_call import Call, Linear, Value
from uncnn.exporters.convert.formats.mxnet_file import Array
from uncnn.exporters.convert.formats.onnx_graph import Graph

Numbers: TypeAlias = npt.NDArray[np.floating[Any]]

SCALARS: dict[str, Callable[[float], tuple[float, float]]] = {
    "_plus_scalar": lambda scalar: (1.0, scalar),
    "_minus_scalar": lambda scalar: (1.0, -scalar),
    "_mul_scalar": lambda scalar: (scalar, 0.0),
    "_div_scalar": lambda scalar: (1 / scalar, 0.0),
}
"""What an operation with a number does: its factor and its term."""


def translate(call: Call) -> Value | Linear:
    """Return what a node gives.

    Raises:
        FormatError: its operator is not understood, or not with these weights or attributes.
    """
    operator = call.node.operator
    if operator in SCALARS:
        factor, term = SCALARS[operator](call.number("scalar") or _zero(call))
        return _affine(call, call.value(), np.array([factor]), np.array([term]))
    if operator not in OPERATORS:
        raise call.wrong(f"is not among {', '.join(sorted({*OPERATORS, *SCALARS}))}")
    return OPERATORS[operator](call)


def emit(graph: Graph, linear: Linear) -> Value:
    """Write a convolution or a matrix into the graph."""
    operator = "Conv" if linear.weight.ndim == 4 else "Gemm"
    name = graph.add(operator, linear.source.name, linear.weight, linear.bias, **linear.attributes)
    return Value(name, linear.weight.ndim)


def _zero(call: Call) -> float:
    if call.node.operator == "_div_scalar":
        raise call.wrong("divides by zero")
    return 0.0


def _convolution(call: Call) -> Linear:
    weight = call.weight(1, 4)
    if call.word("layout", "NCHW") not in {"NCHW", "None"}:
        raise call.wrong("is not in NCHW")
    attributes: dict[str, Any] = {
        "kernel_shape": list(weight.shape[2:]),
        "strides": call.pair("stride", 1),
        "pads": call.pair("pad", 0) * 2,
        "dilations": call.pair("dilate", 1),
        "group": int(call.number("num_group", 1)),
    }
    return Linear(call.value(), weight, _bias(call, weight), attributes)


def _matrix(call: Call) -> Linear:
    weight, source = call.weight(1, 2), call.value()
    if source.rank != 2:
        if not call.flag("flatten", True):
            raise call.wrong("is applied to more than rows")
        source = Value(call.graph.add("Flatten", source.name, axis=1), 2)
    return Linear(source, weight, _bias(call, weight), {"transB": 1})


def _bias(call: Call, weight: Array) -> Array:
    return np.zeros(len(weight), np.float32) if call.flag("no_bias") else call.weight(2, 1)


def _normalised(call: Call) -> Value:
    """Batch normalisation: gamma is 1 unless `fix_gamma` is off, which it is not by default."""
    gamma, beta, mean, variance = (call.weight(position, 1).astype(np.float64) for position in (1, 2, 3, 4))
    if (
        call.number("axis", 1) != 1
        or len({len(gamma), len(beta), len(mean), len(variance)}) != 1
        or (variance < 0).any()
    ):
        raise call.wrong("has weights that contradict each other")
    scale = (1.0 if call.flag("fix_gamma", True) else gamma) / np.sqrt(variance + call.number("eps", 1e-3))
    shift = beta - mean * scale
    source = call.inputs[0]
    if not isinstance(source, Linear):
        return _affine(call, call.value(), scale, shift)
    if len(source.weight) != len(scale):
        raise call.wrong(f"has {len(scale)} channels, where {len(source.weight)} come")
    weight = source.weight * scale.reshape(-1, *[1] * (source.weight.ndim - 1))
    folded = replace(source, weight=_float(weight), bias=_float(source.bias * scale + shift))
    return emit(call.graph, folded)


def _affine(call: Call, source: Value, scale: Numbers, shift: Numbers) -> Value:
    """Return source * scale + shift, by channel."""
    name = source.name
    if (scale != 1).any():
        name = call.graph.add("Mul", name, _by_channel(scale, source.rank))
    if (shift != 0).any():
        name = call.graph.add("Add", name, _by_channel(shift, source.rank))
    return Value(name, source.rank)


def _by_channel(values: Numbers, rank: int) -> Array:
    return _float(values).reshape(-1, *[1] * (rank - 2))


def _float(values: Numbers | float) -> Array:
    return np.asarray(values, np.float32)


def _leaky(call: Call) -> Value:
    source, kind = call.value(), call.word("act_type", "leaky")
    if kind == "prelu":
        return Value(call.graph.add("PRelu", source.name, _by_channel(call.weight(1, 1), source.rank)), source.rank)
    if kind not in {"leaky", "elu"}:
        raise call.wrong(f"is of the kind {kind!r:.80}, which is not known")
    operator = {"leaky": "LeakyRelu", "elu": "Elu"}[kind]
    return Value(call.graph.add(operator, source.name, alpha=call.number("slope", 0.25)), source.rank)


def _activation(call: Call) -> Value:
    source, kind = call.value(), call.word("act_type", "relu")
    known = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus"}
    if kind not in known:
        raise call.wrong(f"is of the kind {kind!r:.80}, which is not known")
    return Value(call.graph.add(known[kind], source.name), source.rank)


def _clip(call: Call) -> Value:
    source, low, high = call.value(), _float(call.number("a_min")), _float(call.number("a_max"))
    return Value(call.graph.add("Clip", source.name, low, high), source.rank)


def _bound(operator: str) -> Callable[[Call], Value]:
    def bound(call: Call) -> Value:
        source, scalar = call.value(), call.number("scalar")
        if operator == "Max" and scalar == 0:
            return Value(call.graph.add("Relu", source.name), source.rank)
        return Value(call.graph.add(operator, source.name, _float(np.full([1] * source.rank, scalar))), source.rank)

    return bound


def _both(operator: str) -> Callable[[Call], Value]:
    def both(call: Call) -> Value:
        left, right = call.value(0), call.value(1)
        return Value(call.graph.add(operator, left.name, right.name), max(left.rank, right.rank))

    return both


def _pooled(call: Call) -> Value:
    source, kind = call.value(), call.word("pool_type", "max")
    if kind not in {"max", "avg"}:
        raise call.wrong(f"is of the kind {kind!r:.80}, which is not known")
    if call.flag("global_pool"):
        if kind == "max":
            return Value(call.graph.add("ReduceMax", source.name, axes=[2, 3]), 4)
        return Value(call.graph.add("GlobalAveragePool", source.name), 4)
    attributes: dict[str, Any] = {
        "kernel_shape": call.pair("kernel", 1),
        "strides": call.pair("stride", 1),
        "pads": call.pair("pad", 0) * 2,
        "ceil_mode": int(call.word("pooling_convention", "valid") == "full"),
    }
    if kind == "avg":
        attributes["count_include_pad"] = int(call.flag("count_include_pad", True))
    return Value(call.graph.add({"max": "MaxPool", "avg": "AveragePool"}[kind], source.name, **attributes), 4)


def _unit_length(call: Call) -> Value:
    """Divide by sqrt(sum(x^2) + eps), over all of a picture or over its channels."""
    source, mode = call.value(), call.word("mode", "instance")
    if mode not in {"instance", "channel"}:
        raise call.wrong(f"has the mode {mode!r:.80}, which is not known")
    axes = np.array([1] if mode == "channel" else range(1, source.rank), np.int64)
    squares = call.graph.add("Mul", source.name, source.name)
    total = call.graph.add("Add", call.graph.add("ReduceSum", squares, axes), _float(call.number("eps", 1e-10)))
    return Value(call.graph.add("Div", source.name, call.graph.add("Sqrt", total)), source.rank)


def _flattened(call: Call) -> Value:
    return Value(call.graph.add("Flatten", call.value().name, axis=1), 2)


OPERATORS: dict[str, Callable[[Call], Value | Linear]] = {
    "Convolution": _convolution,
    "FullyConnected": _matrix,
    "BatchNorm": _normalised,
    "LeakyReLU": _leaky,
    "Activation": _activation,
    "relu": lambda call: Value(call.graph.add("Relu", call.value().name), call.value().rank),
    "clip": _clip,
    "_maximum_scalar": _bound("Max"),
    "_minimum_scalar": _bound("Min"),
    **dict.fromkeys(("elemwise_add", "_plus", "_Plus", "broadcast_add", "broadcast_plus"), _both("Add")),
    **dict.fromkeys(("elemwise_mul", "_mul", "_Mul", "broadcast_mul"), _both("Mul")),
    **dict.fromkeys(("elemwise_sub", "_minus", "_Minus", "broadcast_sub", "broadcast_minus"), _both("Sub")),
    "Pooling": _pooled,
    "L2Normalization": _unit_length,
    **dict.fromkeys(("Flatten", "flatten"), _flattened),
    **dict.fromkeys(("Dropout", "identity", "_copy", "BlockGrad"), Call.value),
}
