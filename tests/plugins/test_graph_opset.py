"""Newer operations in the words of opset 17: ONNX Runtime runs the one, torch the other, and both give the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx2torch import convert

from uncnn.plugins.recognisers.graph import plain
from uncnn.plugins.recognisers.graph_opset import OpsetError

PICTURES = np.random.default_rng(0).uniform(0.1, 2, (2, 3, 8, 8)).astype(np.float32)


def graph_of(opset: int, operator: str, constants: dict[str, Any], outputs: int = 1, **attributes: Any) -> ModelProto:
    """Return one operation on the picture; several outputs are joined again in reverse order."""
    names = [f"part{number}" for number in range(outputs)]
    nodes = [helper.make_node(operator, ["input", *constants], names, **attributes)]
    nodes.append(helper.make_node("Concat", names[::-1], ["output"], axis=attributes.get("axis", 1)))
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 8, 8]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, None),
    ]
    values = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items() if name]
    graph = helper.make_graph(nodes, "one", ends[:1], ends[1:], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


AXES = {"axes": [2, 3]}
CASES = [
    *[
        graph_of(18, operator, AXES, keepdims=1)
        for operator in (
            *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
            *("ReduceProd", "ReduceSumSquare"),
        )
    ],
    graph_of(18, "ReduceMean", {"axes": [-1]}, keepdims=0),
    graph_of(18, "ReduceMean", {}, keepdims=1, noop_with_empty_axes=1),
    graph_of(20, "ReduceMax", AXES, keepdims=1),
    graph_of(18, "Split", {}, outputs=3, axis=1, num_outputs=3),
    graph_of(18, "Split", {}, outputs=3, axis=3, num_outputs=3),  # 3 + 3 + 2 of 8
    graph_of(18, "Split", {"parts": [1, 2]}, outputs=2, axis=1),
    graph_of(20, "Gelu", {}),
    graph_of(18, "Pad", {"pads": [0, 0, 1, 1, 0, 0, 1, 1]}),
    graph_of(19, "AveragePool", {}, kernel_shape=[2, 2], dilations=[1, 1]),
    graph_of(19, "Reshape", {"shape": [0, 3, -1]}),
    graph_of(22, "MaxPool", {}, kernel_shape=[2, 2]),
    graph_of(22, "Elu", {}),
    graph_of(21, "Transpose", {}, perm=[0, 1, 3, 2]),
    graph_of(17, "Softplus", {}),
]


@pytest.mark.parametrize(
    "model", CASES, ids=lambda model: f"{model.graph.node[0].op_type}-{model.opset_import[0].version}"
)
def test_the_older_words_mean_the_same(model: ModelProto) -> None:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"input": PICTURES})[0]
    lowered = plain(model)
    assert lowered.opset_import[0].version == 17
    found = convert(lowered)(torch.from_numpy(PICTURES)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (graph_of(20, "Gelu", {}, approximate="tanh"), "Gelu by its tanh approximation"),
        (graph_of(18, "Pad", {"pads": [1, 1], "": None, "axes": [2]}), "Pad of opset 18 has no equal in opset 17"),
        (graph_of(19, "Pad", {"pads": [0, 0, 1, 1, 0, 0, 1, 1]}, mode="wrap"), "Pad of opset 19 has no equal"),
        (
            graph_of(19, "AveragePool", {}, kernel_shape=[2, 2], dilations=[2, 2]),
            "AveragePool of opset 19 has no equal",
        ),
        (graph_of(20, "AffineGrid", {"size": [2, 3, 8, 8]}), "AffineGrid of opset 20 has no equal"),
    ],
)
def test_what_has_no_equal_is_refused(model: ModelProto, complaint: str) -> None:
    with pytest.raises(OpsetError, match=complaint):
        plain(model)
