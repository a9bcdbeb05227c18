"""What load_graph changes in a graph for speed is still what ONNX Runtime computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from uncnn.plugins.recognisers.graph import Extremum, PRelu, load_graph

PICTURES = np.random.default_rng(0).normal(0, 2, (2, 3, 4, 8)).astype(np.float32)
PICTURES[0, 0, 0] = 0


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 1), (1,), (8,)])
def test_prelu_is_that_of_onnx_runtime_and_so_is_its_gradient(tmp_path: Path, shape: tuple[int, ...]) -> None:
    slope = np.random.default_rng(1).uniform(-0.5, 1.5, shape).astype(np.float32)
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 4, 8]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, 4, 8]),
    ]
    node = helper.make_node("PRelu", ["input", "slope"], ["output"])
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], [numpy_helper.from_array(slope, "slope")])
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), file)
    network = load_graph(file)
    assert any(isinstance(module, PRelu) for module in network.modules())

    (expected,) = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(
        None, {"input": PICTURES}
    )
    pictures = torch.from_numpy(PICTURES).requires_grad_()
    found = network(pictures)
    assert np.allclose(found.detach().numpy(), expected, atol=1e-6)
    (gradient,) = torch.autograd.grad(found.sum(), pictures)
    inside = PICTURES != 0  # at 0 there is none
    assert np.allclose(gradient.numpy()[inside], np.where(PICTURES > 0, 1, slope)[inside], atol=1e-6)


@pytest.mark.parametrize("channels", [4, 128])  # constants that the optimizer folds, and such as it leaves
def test_weights_stored_as_float16_are_those_of_onnx_runtime(tmp_path: Path, channels: int) -> None:
    random = np.random.default_rng(2)
    weights = {"first": (channels, 3, 3, 3), "second": (channels, channels, 3, 3)}
    halves = [
        numpy_helper.from_array(random.normal(0, 0.1, size).astype(np.float16), f"{name}.half")
        for name, size in weights.items()
    ]
    nodes = [helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT) for name in weights]
    nodes.append(helper.make_node("Conv", ["input", "first"], ["between"], pads=[1, 1, 1, 1]))
    nodes.append(helper.make_node("Conv", ["between", "second"], ["output"], pads=[1, 1, 1, 1]))
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 4, 8]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", channels, 4, 8]),
    ]
    graph = helper.make_graph(nodes, "halves", ends[:1], ends[1:], halves)
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), file)
    (expected,) = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(
        None, {"input": PICTURES}
    )
    with torch.no_grad():
        found = load_graph(file)(torch.from_numpy(PICTURES)).numpy()
    assert np.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["Min", "Max"])
def test_the_smaller_or_larger_of_two_is_that_of_onnx_runtime(tmp_path: Path, kind: str) -> None:
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 4, 8]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, 4, 8]),
    ]
    node = helper.make_node(kind, ["input", "limit"], ["output"])
    limit = numpy_helper.from_array(np.zeros((3, 1, 1), np.float32), "limit")
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], [limit])
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), file)
    network = load_graph(file)
    assert any(isinstance(module, Extremum) for module in network.modules())
    (expected,) = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(
        None, {"input": PICTURES}
    )
    pictures = torch.from_numpy(PICTURES).requires_grad_()
    found = network(pictures)
    assert np.array_equal(found.detach().numpy(), expected)
    (gradient,) = torch.autograd.grad(found.sum(), pictures)
    below = PICTURES < 0 if kind == "Min" else PICTURES > 0
    assert np.array_equal(gradient.numpy(), np.where(PICTURES == 0, 0.5, below))
