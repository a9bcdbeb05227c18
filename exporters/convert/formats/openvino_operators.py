"""What each operator of an OpenVINO graph is in ONNX.

The operators are those of https://docs.openvino.ai/2024/documentation/openvino-ir-format/operation-sets.html that
recognisers use. What only scales or reshapes constants, which is how compressed weights are stored, is done here and
now.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from uncnn.exporters.convert.formats.onnx_graph import Array
from uncnn.exporters.convert.formats.openvino_call import Call, Value

Operator: TypeAlias = Callable[[Call], Value]

UNARY = {
    **{name: name for name in ("Abs", "Erf", "Exp", "Sigmoid", "Sqrt", "Tanh")},
    **{"HSwish": "HardSwish", "Negative": "Neg", "ReLU": "Relu"},
}
BINARY: dict[str, tuple[str, Callable[[Array, Array], Array]]] = {
    "Add": ("Add", np.add),
    "Subtract": ("Sub", np.subtract),
    "Multiply": ("Mul", np.multiply),
    "Divide": ("Div", np.divide),
    "Power": ("Pow", np.float_power),
    "Maximum": ("Max", np.maximum),
    "Minimum": ("Min", np.minimum),
}


def translate(call: Call) -> Value:
    """Append what a layer does to its inputs and return its output.

    Raises:
        FormatError: the operator is not understood, or not with these inputs or attributes.
    """
    kind = call.layer.kind
    if kind == "FakeQuantize":
        raise call.wrong("quantises to 8 bits, and that has no true gradient: take the model's FP16 or FP32 files")
    if kind not in OPERATORS:
        raise call.wrong(f"is not among {', '.join(sorted(OPERATORS))}")
    return OPERATORS[kind](call)


def _unary(call: Call) -> Value:
    return call.graph.add(UNARY[call.layer.kind], call.picture())


def _binary(call: Call) -> Value:
    operator, function = BINARY[call.layer.kind]
    if len(call.inputs) != 2 or call.layer.attributes.get("auto_broadcast", "numpy") not in {"numpy", "none"}:
        raise call.wrong("needs two inputs and numpy's broadcasting")
    first, second = call.inputs
    if isinstance(first, str) or isinstance(second, str):
        return call.graph.add(operator, first, second)
    try:
        call.graph.charge(math.prod(np.broadcast_shapes(first.shape, second.shape)))
    except ValueError as error:
        raise call.wrong(f"joins what does not fit ({error})") from error
    kinds = {first.dtype, second.dtype}
    with np.errstate(all="ignore"):  # what is not finite is refused where it is used
        return function(first, second).astype(np.int64 if kinds == {np.dtype(np.int64)} else np.float32)


def _convert(call: Call) -> Value:
    """Decompress a constant; on the picture, which is float32 here, a conversion between floats changes nothing."""
    value, kind = call.value(), call.layer.attributes.get("destination_type", "")
    if isinstance(value, str):
        if kind not in {"f16", "f32"}:
            raise call.wrong(f"turns the picture's values into {kind!r:.20}")
        return value
    dtype = np.float32 if kind.startswith("f") else np.int64
    if value.dtype == dtype:
        return value
    call.graph.charge(value.size)
    return value.astype(dtype)


def _convolution(call: Call) -> Value:
    weight = call.constant(1)
    if weight.ndim != 4:
        raise call.wrong(f"has filters of {weight.shape}, not of 4 dimensions")
    return call.graph.add("Conv", call.picture(), weight, **call.window(weight.shape[2:], dilated=True))


def _group_convolution(call: Call) -> Value:
    """Join the groups of the filters, (G, N, C, H, W), as ONNX has them: (G * N, C, H, W)."""
    weight = call.constant(1)
    if weight.ndim != 5:
        raise call.wrong(f"has filters of {weight.shape}, not of 5 dimensions")
    attributes = call.window(weight.shape[3:], dilated=True)
    joined = weight.reshape(-1, *weight.shape[2:])
    return call.graph.add("Conv", call.picture(), joined, group=weight.shape[0], **attributes)


def _pool(call: Call) -> Value:
    attributes = call.window(tuple(call.steps("kernel", 2)), dilated=False)
    attributes["ceil_mode"] = int(call.layer.attributes.get("rounding_type", "floor") == "ceil")
    if call.layer.kind == "MaxPool":
        return call.graph.add("MaxPool", call.picture(), **attributes)
    attributes["count_include_pad"] = int(not call.flag("exclude-pad"))
    return call.graph.add("AveragePool", call.picture(), **attributes)


def _prelu(call: Call) -> Value:
    """Give the slopes of the channels the shape (C, 1, 1), where ONNX's broadcasting expects them."""
    slope, rank = call.constant(1), len(call.layer.shape)
    if slope.size > 1:
        if slope.size != max([*slope.shape, *call.layer.shape[1:2]]):
            raise call.wrong(f"has slopes of {slope.shape}, not one for each channel")
        slope = slope.reshape(-1, *[1] * (rank - 2))
    return call.graph.add("PRelu", call.picture(), slope)


def _clamp(call: Call) -> Value:
    low, high = (np.array(call.number(key), np.float32) for key in ("min", "max"))
    return call.graph.add("Clip", call.picture(), low, high)


def _softmax(call: Call) -> Value:
    return call.graph.add("Softmax", call.picture(), axis=call.axis())


def _product(call: Call) -> Value:
    """MatMul, each side transposed first where it says so."""
    if len(call.inputs) != 2:
        raise call.wrong("needs two inputs")
    sides: list[Value] = []
    for key, value, shape in zip(("transpose_a", "transpose_b"), call.inputs, call.layer.input_shapes, strict=True):
        order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        sides.append(_moved(call, value, order) if call.flag(key) and len(shape) > 1 else value)
    return call.graph.add("MatMul", *sides)


def _reduction(call: Call) -> Value:
    axes, keep = call.constant(1).ravel().tolist(), int(call.flag("keep_dims"))
    return call.graph.add(call.layer.kind, call.picture(), axes=[int(axis) for axis in axes], keepdims=keep)


def _normalisation(call: Call) -> Value:
    """NormalizeL2: divide by the root of the sum of squares, with epsilon added to it or as its least value."""
    picture, axes = call.picture(), call.constant(1).reshape(-1)
    squares = call.graph.add("ReduceSum", call.graph.add("Mul", picture, picture), axes, keepdims=1)
    operator = "Add" if call.layer.attributes.get("eps_mode") == "add" else "Max"
    bounded = call.graph.add(operator, squares, np.array(call.number("eps"), np.float32))
    return call.graph.add("Div", picture, call.graph.add("Sqrt", bounded))


def _reshape(call: Call) -> Value:
    """Reshape to what the file declares, each picture for itself: ONNX's 0 keeps the batch, a 1 in the file."""
    value, shape = call.value(), call.layer.shape
    before = call.layer.input_shapes[0] if isinstance(value, str) else value.shape
    if math.prod(before) != math.prod(shape) or min(shape[1:], default=1) < 1:
        raise call.wrong(f"turns {before} into {shape}")
    if not isinstance(value, str):
        return value.reshape(shape)
    if before[:1] != shape[:1]:
        raise call.wrong(f"turns {before} into {shape}, and each picture must stay by itself")
    return call.graph.add("Reshape", value, np.array([0, *shape[1:]], np.int64))


def _transpose(call: Call) -> Value:
    return _moved(call, call.value(), [int(axis) for axis in call.constant(1).ravel().tolist()])


def _moved(call: Call, value: Value, order: list[int]) -> Value:
    rank = len(call.layer.shape) if isinstance(value, str) else value.ndim
    if sorted(order) != list(range(rank)):
        raise call.wrong(f"transposes {rank} dimensions as {order[:8]}")
    return call.graph.add("Transpose", value, perm=order) if isinstance(value, str) else value.transpose(order)


def _concatenation(call: Call) -> Value:
    return call.graph.add("Concat", *call.inputs, axis=call.axis())


OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin"), _reduction),
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze"), _reshape),
    "AvgPool": _pool,
    "Clamp": _clamp,
    "Concat": _concatenation,
    "Convert": _convert,
    "Convolution": _convolution,
    "GroupConvolution": _group_convolution,
    "MatMul": _product,
    "MaxPool": _pool,
    "NormalizeL2": _normalisation,
    "PReLU": _prelu,
    "SoftMax": _softmax,
    "Transpose": _transpose,
}
