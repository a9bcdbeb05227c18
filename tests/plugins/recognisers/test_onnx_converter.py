"""What is left out at a start changes no number, and is there for who needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers import graph
from uncnn.plugins.recognisers.graph import is_folded, load_graph

SHIPPED = sorted(path.parent.name for path in EMBEDDED.glob("*/model.onnx"))


def read(path: Path, size: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the embeddings of fixed pictures, and the gradient of a weighted sum of them."""
    pictures = torch.randn(2, *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = load_graph(path)(pictures).flatten(1)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((found * weights).sum(), pictures)
    return found.detach(), gradient


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_needs_no_folding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = EMBEDDED / name / "model.onnx"
    model = onnx.load(path)
    assert is_folded(model)
    size = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim][1:]
    quick = read(path, size)
    monkeypatch.setattr(graph, "is_folded", lambda _: False)
    assert all(torch.equal(*pair) for pair in zip(quick, read(path, size), strict=True))


@pytest.mark.slow
def test_a_worker_starts_without_what_takes_long() -> None:
    slow = ["torchvision", "torch._dynamo", "onnxscript", "sympy", "retinaface", "albumentations", "cv2", "pandas"]
    script = (
        "import sys\n"
        "import torch, uncnn.daemon.protect.torch_worker\n"
        "from uncnn.exporters.registry.store import EMBEDDED\n"
        "from uncnn.plugins.recognisers.torch_recogniser import load_recogniser\n"
        "for card in EMBEDDED.glob('*/card.yaml'):\n"
        "    model = load_recogniser(card.parent)\n"
        "    size = (model.card.input.height, model.card.input.width)\n"
        "    pictures = torch.zeros(1, 3, *size, requires_grad=True)\n"
        "    model.outputs(pictures).sum().backward()\n"
        f"print(*[name for name in {slow} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=300, capture_output=True, text=True)
    assert done.stdout.split() == []


def saved(nodes: list[onnx.NodeProto], output: list[int | str], constants: list[TensorProto], path: Path) -> Path:
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 2, 8, 8]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, output),
    ]
    made = helper.make_graph(nodes, "one", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 16)], ir_version=10), path)
    return path


def test_an_operation_of_torchvision_is_there_for_the_graph_that_has_it(tmp_path: Path) -> None:
    """RoiAlign: some recognisers cut parts of a face out."""
    constants = [
        numpy_helper.from_array(np.array([[1, 1, 6, 7], [0, 2, 3, 5]], np.float32), "boxes"),
        numpy_helper.from_array(np.array([0, 1], np.int64), "which"),
    ]
    node = helper.make_node(
        "RoiAlign", ["input", "boxes", "which"], ["output"], output_height=2, output_width=2, sampling_ratio=2
    )
    file = saved([node], ["n", 2, 2, 2], constants, tmp_path / "model.onnx")
    pictures = np.random.default_rng(0).normal(size=(2, 2, 8, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"input": pictures})
    assert np.allclose(load_graph(file)(torch.from_numpy(pictures)).numpy(), expected, atol=1e-5)


def test_what_asks_for_a_shape_or_computes_constants_is_folded() -> None:
    constants = [numpy_helper.from_array(np.array([1.0], np.float32), "one")]

    def model(*nodes: onnx.NodeProto) -> onnx.ModelProto:
        return helper.make_model(helper.make_graph(nodes, "some", [], [], constants))

    assert is_folded(model(helper.make_node("Add", ["input", "one"], ["output"])))
    assert not is_folded(model(helper.make_node("Add", ["one", "one"], ["output"])))
    assert not is_folded(model(helper.make_node("Clip", ["one", "", "one"], ["output"])))
    assert not is_folded(model(helper.make_node("Shape", ["input"], ["output"])))
    assert not is_folded(model(helper.make_node("Constant", [], ["output"])))
