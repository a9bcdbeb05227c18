"""Recognisers as torch graphs: parity with ONNX Runtime on real faces, order of channels, gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.geometry import ARCFACE_112
from uncnn.plugins.recognisers.cards import CardError
from uncnn.plugins.recognisers.graph import GraphError, load_graph, plain
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import load_recogniser

NAMES = (
    "dlib-resnet",
    "edgeface-xxs",
    "esp-mfn",
    "mobileface-v2",
    "mobilefacenet-casia",
    "mobilefacenet-casia-tf2",
    "mobilefacenet-foamliu",
    "mobilefacenet-sirius",
    "mobilefacenet-y1",
    "openvino-0095",
)
POINTS = ARCFACE_112 + 16  # where faces-144 has them
CPU = ["CPUExecutionProvider"]


@pytest.mark.parametrize("name", NAMES)
def test_torch_equals_onnx_runtime_on_real_faces(
    recogniser_folder: Callable[[str], Path], faces_144: Callable[[int], np.ndarray], name: str
) -> None:
    folder = recogniser_folder(name)
    ours, theirs = load_recogniser(folder), OnnxRecogniser.load(folder, CPU)
    faces = faces_144(6)
    patches = torch.from_numpy(faces).permute(0, 3, 1, 2).float()
    points = np.repeat(POINTS[None], len(faces), axis=0)
    with torch.no_grad():
        crops = ours.crops(patches, points).round()
        found = ours.outputs(crops).numpy()
    shown = crops.numpy()[:, ::-1] if ours.card.input.order == "BGR" else crops.numpy()
    mean, std = (np.float32(value).reshape(1, 3, 1, 1) for value in (ours.card.input.mean, ours.card.input.std))
    inputs = {theirs.session.get_inputs()[0].name: np.ascontiguousarray((shown - mean) / std)}
    expected = theirs.session.run(None, inputs)[0]
    assert found.shape == (6, ours.card.embedding)
    assert np.abs(found - expected).max() <= 1e-4


@pytest.mark.parametrize("name", ["openvino-0095", "mobilefacenet-foamliu"])
def test_both_ways_of_asking_agree(
    recogniser_folder: Callable[[str], Path], faces_144: Callable[[int], np.ndarray], name: str
) -> None:
    """The attack's warp and the verifier's are different code: they must show the recogniser the same face."""
    folder = recogniser_folder(name)
    ours, theirs = load_recogniser(folder), OnnxRecogniser.load(folder, CPU)
    face = faces_144(3)[1]
    with torch.no_grad():
        one = ours.embed(torch.from_numpy(face.copy()).permute(2, 0, 1)[None].float(), POINTS[None])[0].numpy()
    other = theirs.embed(face, POINTS[None])[0]
    assert float(one @ other / np.linalg.norm(other)) > 0.999


def test_gradient_is_that_of_finite_differences(faces_144: Callable[[int], np.ndarray]) -> None:
    recogniser = load_recogniser(EMBEDDED / "esp-mfn")
    network = recogniser.network.double()
    patch = torch.from_numpy(faces_144(3)[0].copy()).permute(2, 0, 1)[None].double()
    crop = ((recogniser.crops(patch, POINTS[None]) - 127.5) / 127.5).requires_grad_()
    direction = torch.randn(crop.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    anchor = torch.randn(1, 512, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def value(at: torch.Tensor) -> torch.Tensor:
        return (network(at) * anchor).sum()

    (gradient,) = torch.autograd.grad(value(crop), crop)
    step = 1e-8
    with torch.no_grad():
        difference = (value(crop + step * direction) - value(crop - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(difference), rel=1e-4)


def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    source = EMBEDDED / "mobileface-v2"
    (tmp_path / "card.yaml").write_bytes((source / "card.yaml").read_bytes())
    (tmp_path / "model.onnx").write_bytes((source / "model.onnx").read_bytes() + b"\0")
    with pytest.raises(CardError, match="sha256"):
        load_recogniser(tmp_path)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not an onnx file")
    with pytest.raises(GraphError, match="export it again"):
        load_graph(path)


def test_cumsum_without_reverse_runs_forward() -> None:
    """onnx2torch 1.5 takes a missing `reverse` for 1, the standard for 0."""
    axis = helper.make_tensor("axis", TensorProto.INT64, [], [1])
    node = helper.make_node("CumSum", ["input", "axis"], ["output"])
    value = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("input", "output")}
    graph = helper.make_graph([node], "sums", [value["input"]], [value["output"]], [axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    from onnx2torch import convert

    result = convert(plain(model))(torch.tensor([[1.0, 2.0, 3.0]]))
    assert result.tolist() == [[1.0, 3.0, 6.0]]
