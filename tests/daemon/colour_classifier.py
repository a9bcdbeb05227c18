"""A closed-set classifier that says which colour a face has, as an ONNX file."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAMES = ("Red", "Green", "Blue")


def colour_classifier(
    ending: Literal["logits", "softmax", "nan"] = "logits", *, channels_last: bool = False, side: int | str = 48
) -> bytes:
    """Return a network whose outputs are the mean of each channel, five times, or the chances that these make."""
    shape = [1, side, side, 3] if channels_last else [1, 3, side, side]
    axes = [1, 2] if channels_last else [2, 3]
    factor = np.nan if ending == "nan" else 5.0
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["mean", "factor"], ["scaled"]),
        helper.make_node("Softmax" if ending == "softmax" else "Identity", ["scaled"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array(factor, np.float32), "factor")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
