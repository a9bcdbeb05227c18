"""The recipe of robust recognisers, in small: two steps on pictures that are no faces, and what is shipped of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.exporters.train import robust
from uncnn.exporters.train.faces import TrainingError
from uncnn.exporters.train.ship import ship_recogniser
from uncnn.exporters.train.trained import with_weights
from uncnn.plugins.recognisers.cards import read_card
from uncnn.plugins.recognisers.graph import load_graph
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser

TEACHERS = ("esp-mfn", "mobileface-v2")  # PReLU of a slope a channel; a linear layer at the end
COURSE = robust.Course(epsilon_255=4, passes=2, samples=4, batch=2)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (4, 9, 9, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((144, 144))) for each in coarse])


@pytest.fixture(scope="module", params=TEACHERS)
def hardened(request: pytest.FixtureRequest, pictures: np.ndarray) -> tuple[Recogniser, torch.fx.GraphModule, list]:
    teacher, reports = load_recogniser(EMBEDDED / request.param), []
    network = robust.harden(
        teacher,
        load_recogniser(EMBEDDED / request.param),
        pictures,
        COURSE,
        report=lambda done, losses: reports.append((done, dict(losses))),
    )
    return teacher, network, reports


@pytest.fixture(scope="module")
def shipped(hardened: tuple[Recogniser, torch.fx.GraphModule, list], tmp_path_factory: pytest.TempPathFactory) -> Path:
    teacher, network, _ = hardened
    return ship_recogniser(network, teacher, "hardened", 4, tmp_path_factory.mktemp("models"))


def test_what_is_shipped_is_what_was_trained(
    hardened: tuple[Recogniser, torch.fx.GraphModule, list], pictures: np.ndarray, shipped: Path
) -> None:
    teacher, network, _ = hardened
    crops = pictures[:, 16:128, 16:128]
    with torch.no_grad():
        tensor = torch.from_numpy(crops.copy()).permute(0, 3, 1, 2).float()
        trained = unit(replace(teacher, network=network).outputs(tensor).numpy())
        attacked = unit(load_recogniser(shipped).outputs(tensor).numpy())
        before = unit(teacher.outputs(tensor).numpy())
    verified = unit(OnnxRecogniser.load(shipped, ["CPUExecutionProvider"]).outputs(crops))
    assert np.abs(attacked - trained).max() < 1e-3
    assert np.abs(verified - attacked).max() < 1e-5
    assert np.abs(attacked - before).max() > 1e-3
    assert (shipped / "model.onnx").stat().st_size < 0.55 * (teacher.folder / "model.onnx").stat().st_size


def test_the_folder_says_what_it_was_made_of(
    hardened: tuple[Recogniser, torch.fx.GraphModule, list], shipped: Path
) -> None:
    teacher, _, _ = hardened
    card, notice = read_card(shipped), (shipped / "NOTICE").read_text()
    assert card.calibrated_on == f"not yet: the thresholds are those of {teacher.card.name}"
    assert not card.accuracy
    assert "trained further by uncnn" in notice
    assert (teacher.folder / "NOTICE").read_text() in notice
    assert (shipped / "LICENSE").read_bytes() == (teacher.folder / "LICENSE").read_bytes()


def test_it_learns_from_both_the_noisy_and_the_altered_face(
    hardened: tuple[Recogniser, torch.fx.GraphModule, list],
) -> None:
    _, _, reports = hardened
    assert [done for done, _ in reports] == [2, 4]
    assert all(losses["worst"] > losses["random"] > 0 for _, losses in reports)


def test_the_teacher_stays_as_it_was(hardened: tuple[Recogniser, torch.fx.GraphModule, list]) -> None:
    teacher, _, _ = hardened
    published = load_graph(teacher.folder / "model.onnx").state_dict()
    assert all(torch.equal(value, published[name]) for name, value in teacher.network.state_dict().items())


def test_faces_aligned_to_another_template_are_refused(pictures: np.ndarray) -> None:
    teacher = load_recogniser(EMBEDDED / "openvino-0095")
    with pytest.raises(TrainingError, match="its template is not arcface-112"):
        robust.harden(teacher, teacher, pictures, COURSE)


def test_weights_of_another_network_are_refused() -> None:
    first, second = (EMBEDDED / name / "model.onnx" for name in TEACHERS)
    with pytest.raises(TrainingError, match="load it anew"):
        with_weights(onnx.load(first), load_graph(second))


def unit(embeddings: np.ndarray) -> np.ndarray:
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
