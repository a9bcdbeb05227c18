"""A recogniser's folder: proven before it is there, whole or not at all, also where ONNX cannot carry it to torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from aligned import aligned_faces
from onnx import ModelProto
from torch import Tensor, nn
from torch.nn import functional

from uncnn.exporters.convert import proof
from uncnn.exporters.convert.build import BuildError, build
from uncnn.exporters.convert.formats.torch_export import onnx_of
from uncnn.plugins.recognisers.cards import (
    TEMPLATES,
    Card,
    Input,
    Licence,
    check_model,
    read_card,
    sha256_of,
)

LENGTH = 32


class Small(nn.Module):
    """The smallest recogniser: filters, an average, a matrix; `act` stands between them."""

    def __init__(self, act: Callable[[Tensor], Tensor] = functional.relu) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act, self.fc = nn.Conv2d(3, 8, 3, 4), act, nn.Linear(8 * 7 * 7, LENGTH)

    def forward(self, pictures: Tensor) -> Tensor:
        embeddings: Tensor = self.fc(functional.avg_pool2d(self.act(self.conv(pictures)), 4).flatten(1))
        return embeddings


class Straightened(Small):
    """The same behind a spatial transformer (Jaderberg et al. 2015): GridSample has no counterpart in onnx2torch."""

    def __init__(self, act: Callable[[Tensor], Tensor] = functional.relu) -> None:
        super().__init__(act)
        self.find = nn.Linear(3 * 16 * 16, 6)
        self.find.weight.data *= 0.01
        self.find.bias.data = torch.tensor([1.0, 0.1, 0.05, -0.1, 1.0, 0.0])

    def forward(self, pictures: Tensor) -> Tensor:
        affine = self.find(functional.adaptive_avg_pool2d(pictures, 16).flatten(1)).view(-1, 2, 3)
        grid = functional.affine_grid(affine, list(pictures.shape), align_corners=False)
        return super().forward(functional.grid_sample(pictures, grid, align_corners=False))


def exported(network: nn.Module) -> ModelProto:
    return onnx_of(network.requires_grad_(False), [torch.zeros(2, 3, 112, 112)])


@pytest.fixture(scope="module")
def small() -> tuple[ModelProto, nn.Module]:
    network = Small()
    return exported(network), network


@pytest.fixture(scope="module")
def straightened() -> tuple[ModelProto, nn.Module]:
    network = Straightened()
    return exported(network), network


def card_of(name: str, given: Input) -> Card:
    return Card(
        name=name,
        family="for a test",
        role="surrogate",
        input=given,
        template=TEMPLATES["arcface-112"],
        embedding=LENGTH,
        metric="cosine",
        thresholds={1e-3: 0.3},
        calibrated_on="nothing",
        sha256="0" * 64,
        licence=Licence(name="none", use="permissive"),
    )


@pytest.fixture
def card() -> Card:
    return card_of("small", Input(height=112, width=112, order="BGR", mean=(120.0, 110.0, 100.0), std=(128.0,) * 3))


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_folder_is_built_and_proven(
    small: Any, card: Card, faces_144: Callable[[int], np.ndarray], tmp_path: Path
) -> None:
    model, network = small
    models = tmp_path / "some" / "models"
    folder = build(model, card, models, faces=aligned_faces(faces_144, card, 20), network=network)
    assert folder == models / "small"
    assert names(models) == {"small", "small/card.yaml", "small/model.onnx"}
    written = read_card(folder)
    assert written.sha256 == sha256_of(folder / "model.onnx")
    assert written.parity is not None
    assert 0 <= written.parity <= 1e-5
    assert written == card.model_copy(update={"sha256": written.sha256, "parity": written.parity})
    assert onnx.load(folder / "model.onnx") == model


def test_without_faces_the_same_pictures_are_taken(small: Any, card: Card, tmp_path: Path) -> None:
    model, _ = small
    first, second = (read_card(build(model, card, tmp_path / name)) for name in "ab")
    assert first == second
    pictures = proof.pictures_of(card, None)
    assert pictures.shape == (6, 3, 112, 112)
    assert np.abs(np.diff(pictures, axis=3)).mean() < 0.1 * pictures.std(), "they are smooth"


def test_the_channels_are_those_of_the_card(card: Card) -> None:
    faces = np.zeros((1, 112, 112, 3), np.uint8)
    faces[..., 0] = 255  # red, which comes last in BGR
    pictures = proof.pictures_of(card, faces)
    np.testing.assert_allclose(pictures[0, :, 0, 0], [-120 / 128, -110 / 128, 155 / 128], rtol=1e-6)


@pytest.mark.parametrize(
    "faces",
    [
        np.zeros((2, 112, 96, 3), np.uint8),
        np.zeros((2, 3, 112, 112), np.uint8),
        np.zeros((112, 112, 3), np.uint8),
        np.zeros((0, 112, 112, 3), np.uint8),
        np.zeros((2, 112, 112, 3), np.float32),
    ],
)
def test_other_faces_are_refused(small: Any, card: Card, tmp_path: Path, faces: np.ndarray) -> None:
    with pytest.raises(BuildError, match=r"small: faces are .*: give \(N, 112, 112, 3\) uint8"):
        build(small[0], card, tmp_path, faces=faces)


def test_a_card_of_another_network_is_refused(small: Any, card: Card, tmp_path: Path) -> None:
    for change in ({"embedding": 64}, {"input": card.input.model_copy(update={"width": 96})}):
        with pytest.raises(BuildError, match=r"small: its graph is .* a face, its card .*; correct the card"):
            build(small[0], card.model_copy(update=change), tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_another_network_than_the_graph_is_found(small: Any, card: Card, tmp_path: Path) -> None:
    network = Small()
    network.fc.bias.data[3] += 0.01
    with pytest.raises(BuildError, match=r"small: onnxruntime .* and torch .* differ by .*, more than 1e-04"):
        build(small[0], card, tmp_path, network=network)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        (torch.round, "its gradient is 0.0: it cannot be attacked"),
        (torch.sign, "its gradient is 0.0: it cannot be attacked"),
        (lambda x: x - x.mean(0, keepdim=True), "a face alone is embedded otherwise than among others"),
        (lambda x: torch.sqrt(-1 - x.abs()), "where its card says 32 finite numbers a face"),
    ],
)
def test_a_graph_that_cannot_be_attacked_or_checked_is_refused(
    card: Card, tmp_path: Path, act: Callable[[Tensor], Tensor], complaint: str
) -> None:
    with pytest.raises(BuildError, match=complaint):
        build(exported(Small(act)), card, tmp_path)
    assert names(tmp_path) == set()


def test_a_false_gradient_is_found(card: Card) -> None:
    """One whose graph is cut in half: what is left is smooth, and is not the derivative."""

    def cut(features: Tensor) -> Tensor:
        return torch.sigmoid(features) * torch.sigmoid(features).detach()

    pictures = proof.pictures_of(card, None)
    assert proof.check_gradient(card, Small(torch.sigmoid), pictures) < 1e-5
    with pytest.raises(BuildError, match=r"its gradient and finite differences are .* of its length apart, more than"):
        proof.check_gradient(card, Small(cut), pictures)


def test_one_face_is_enough(small: Any, card: Card, faces_144: Callable[[int], np.ndarray], tmp_path: Path) -> None:
    assert build(small[0], card, tmp_path, faces=aligned_faces(faces_144, card, 1)).is_dir()


def test_differences_are_those_of_what_is_compared(card: Card) -> None:
    """Of unit embeddings where the comparison is a cosine, of raw ones where it is a distance; NaN is never small."""
    left, right = np.array([[30.0, 40.0]], np.float32), np.array([[30.5, 40.0]], np.float32)
    assert proof.difference(card, left, right) < 0.01
    euclidean = card.model_copy(update={"metric": "euclidean", "thresholds": {}})
    assert proof.difference(euclidean, left, right) == 0.5
    assert proof.difference(card, left, right * np.nan) == np.inf
    assert proof.difference(card, left, right * 0) == np.inf


def test_building_again_changes_nothing(small: Any, card: Card, tmp_path: Path) -> None:
    folder = build(small[0], card, tmp_path)
    before = (folder / "model.onnx").stat().st_ino
    build(small[0], card, tmp_path)
    assert (folder / "model.onnx").stat().st_ino == before
    build(small[0], card.model_copy(update={"family": "another"}), tmp_path)
    assert read_card(folder).family == "another"
    (folder / "model.onnx").write_bytes(b"damaged")
    build(small[0], card, tmp_path)
    check_model(folder, read_card(folder))
    assert names(tmp_path) == {"small", "small/card.yaml", "small/model.onnx"}


def test_a_place_that_cannot_be_written(small: Any, card: Card, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(OSError, match="models"):
        build(small[0], card, tmp_path / "models")
    assert names(tmp_path) == {"models"}


def test_a_graph_that_torch_refuses(straightened: Any, card: Card, tmp_path: Path) -> None:
    model, network = straightened
    assert "GridSample" in {node.op_type for node in model.graph.node}
    for given in (None, network):
        with pytest.raises(BuildError, match=r"torch cannot take its graph \(.*GridSample.*from the checkpoint"):
            build(model, card, tmp_path, network=given)
    assert names(tmp_path) == set()
