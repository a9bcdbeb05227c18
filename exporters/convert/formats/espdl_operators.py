"""What each operator of an ESP-DL graph is in ONNX.

The file keeps pictures as NHWC, ONNX wants NCHW. A value here is known by its name in ONNX and by whether its axes were
moved; they are moved back only where an operator counts them as the file does. What quantises between operators does
nothing: weights are what the file holds, and activations stay float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from uncnn.exporters.convert.formats.espdl_call import TO_FIRST, TO_LAST, Call, Value
from uncnn.exporters.convert.formats.espdl_weights import filters, plain
from uncnn.exporters.convert.formats.onnx_graph import Array

Operator: TypeAlias = Callable[[Call], Value]


def translate(call: Call) -> Value:
    """Append what a node does to its inputs and return its output.

    Raises:
        FormatError: the operator is not understood, or not with these inputs or attributes.
    """
    if call.node.operator not in OPERATORS:
        raise call.wrong(f"is not among {', '.join(sorted(OPERATORS))}")
    return OPERATORS[call.node.operator](call)


def _same(call: Call) -> Value:
    return call.value()


def _unary(call: Call) -> Value:
    """Translate what does the same to every number: Relu, PRelu (its slopes lie as ONNX's do), Clip, Sigmoid."""
    value = call.value()
    alpha = call.node.attributes.get("alpha")
    attributes = {"alpha": alpha} if isinstance(alpha, float) else {}
    return Value(call.graph.add(call.node.operator, value.name, *call.constants(1), **attributes), value.moved)


def _binary(call: Call) -> Value:
    """Add, subtract, multiply: two values of one layout in it, else in the file's own."""
    operands = [call.operands[position] if position < len(call.operands) else None for position in range(2)]
    layouts = {operand.moved if isinstance(operand, Value) else False for operand in operands}
    moved = layouts == {True}
    sides: list[str | Array] = []
    for position, operand in enumerate(operands):
        if isinstance(operand, Value):
            sides.append(operand.name if moved else call.stored(position))
        else:
            sides.append(plain(call.graph, call.tensor(position)))
    return Value(call.graph.add(call.node.operator, *sides), moved)


def _convolution(call: Call) -> Value:
    group = call.integer("group", 1)
    weight = filters(call.graph, call.tensor(1), grouped=group > 1)
    attributes = call.window(list(weight.shape[2:]), dilated=True)
    return _activated(
        call, call.graph.add("Conv", call.picture(), weight, *_bias(call), group=group, **attributes), True
    )


def _bias(call: Call) -> list[Array]:
    return [values.reshape(-1) for values in call.constants(2)]


def _activated(call: Call, name: str, moved: bool) -> Value:
    """Append the activation that esp-ppq joined to a node."""
    activation = call.node.attributes.get("activation", "Linear")
    if activation not in {"Linear", "Relu"}:
        raise call.wrong(f"has the activation {activation!r:.40}, where Linear and Relu are understood")
    return Value(name if activation == "Linear" else call.graph.add("Relu", name), moved)


def _connection(call: Call) -> Value:
    """Gemm: its weights are laid out as the filters of a 1 x 1 convolution."""
    weight = filters(call.graph, call.tensor(1), grouped=False)
    matrix = weight.reshape(len(weight), -1)
    return _activated(call, call.graph.add("Gemm", call.stored(), matrix, *_bias(call), transB=1), False)


def _pool(call: Call) -> Value:
    attributes = call.window(call.integers("kernel_shape", 2), dilated=False)
    attributes["ceil_mode"] = call.integer("ceil_mode", 0)
    if call.node.operator == "AveragePool":
        attributes["count_include_pad"] = call.integer("count_include_pad", 0)
    return Value(call.graph.add(call.node.operator, call.picture(), **attributes), True)


def _global_pool(call: Call) -> Value:
    return Value(call.graph.add("GlobalAveragePool", call.picture()), True)


def _concatenation(call: Call) -> Value:
    """Join values along the axis that the file counts; NHWC's is moved to NCHW's."""
    values = [call.value(position) for position in range(len(call.operands))]
    axis = call.integer("axis", 1)
    if values and all(value.moved for value in values) and -4 <= axis < 4:
        return Value(call.graph.add("Concat", *[value.name for value in values], axis=TO_LAST[axis]), True)
    return Value(call.graph.add("Concat", *[call.stored(n) for n in range(len(values))], axis=axis), False)


def _transpose(call: Call) -> Value:
    """Transpose; moving the channels to the front or the back is a matter of what the value is called."""
    value, order = call.value(), call.node.attributes.get("perm")
    if not isinstance(order, tuple) or sorted(order) != list(range(len(order))):
        raise call.wrong(f"has the order {order!r:.60}")
    if list(order) == (TO_FIRST if value.moved else TO_LAST):
        return Value(value.name, not value.moved)
    return Value(call.graph.add("Transpose", call.stored(), perm=list(order)), False)


def _flatten(call: Call) -> Value:
    return Value(call.graph.add("Flatten", call.stored(), axis=call.integer("axis", 1)), False)


def _reshape(call: Call) -> Value:
    """Reshape each picture for itself: a leading 1, the batch when the file was written, becomes the true one."""
    target = np.array(call.tensor(1).values, np.int64)
    if target[:1] == 1:
        target[0] = 0
    return Value(call.graph.add("Reshape", call.stored(), target), False)


OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(("Relu", "PRelu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSwish"), _unary),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _binary),
    **dict.fromkeys(("Identity", "QuantizeLinear", "DequantizeLinear", "RequantizeLinear"), _same),
    "AveragePool": _pool,
    "Concat": _concatenation,
    "Conv": _convolution,
    "Flatten": _flatten,
    "Gemm": _connection,
    "GlobalAveragePool": _global_pool,
    "MaxPool": _pool,
    "Reshape": _reshape,
    "Transpose": _transpose,
}
