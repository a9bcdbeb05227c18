"""What comes with uncnn, alone: a new user's home, nothing pulled, no folder of models named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from models_home import ModelsHome
from PIL import Image

from uncnn.exporters.store import EMBEDDED, OWN_DETECTOR
from uncnn.exporters.train.networks import STUDENTS
from uncnn.plugins.cards import check_model, read_card

NAMES = {student.name for student in STUDENTS}


@pytest.fixture(scope="module")
def home(own_detector_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelsHome:
    return ModelsHome(tmp_path_factory.mktemp("home")).having(own_detector_folder)


def test_only_data_is_shipped() -> None:
    files = {str(file.relative_to(EMBEDDED)) for file in EMBEDDED.rglob("*") if file.is_file()}
    folders = {f"{name}/{file}" for name in NAMES for file in ("model.onnx", "card.yaml")}
    assert files == {"README.md", OWN_DETECTOR, *folders}
    assert (EMBEDDED / OWN_DETECTOR).stat().st_size <= 2e6


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_student_is_what_its_card_says(name: str) -> None:
    card = read_card(EMBEDDED / name)
    check_model(EMBEDDED / name, card)
    assert (EMBEDDED / name / "model.onnx").stat().st_size <= 4e6
    assert (card.name, card.role, card.licence.use) == (name, "surrogate", "permissive")
    assert set(card.thresholds) == {1e-2, 1e-3, 1e-4}
    assert card.accuracy["lfw_6000_drawn_pairs"] >= 0.95
    assert card.parity is not None
    assert card.parity <= 1e-4
    assert card.distilled_from in {student.teacher for student in STUDENTS}
    assert "none is in its benchmark folders" in card.training_data


def test_they_are_listed_sound_and_not_to_be_removed(home: ModelsHome) -> None:
    code, answer = home.json("models", "list")
    listed = {model["name"]: model for model in answer["models"] if model["installed"]}
    assert code == 0
    assert set(listed) == {*NAMES, Path(OWN_DETECTOR).stem}
    assert all(model["packs"] == ["embedded"] and model["problem"] is None for model in listed.values())
    assert home.run("models", "list").stdout.count("with uncnn") == len(listed)
    code, answer = home.json("models", "check")
    assert code == 0, answer
    assert {model["name"] for model in answer["models"]} == {*listed, "dlib-resnet"}
    refused = home.run("models", "remove", min(NAMES), "--yes")
    assert refused.returncode == 1
    assert "which is not uncnn's to change" in refused.stderr


@pytest.mark.slow
def test_a_photo_is_cloaked_with_nothing_else(home: ModelsHome, tmp_path: Path) -> None:
    skimage = pytest.importorskip("skimage")
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "astronaut.png")
    answer = home.run("cloak", tmp_path / "astronaut.png", "-o", tmp_path / "out", "--json")
    assert answer.returncode == 0, answer.stderr
    (photo,) = json.loads(answer.stdout)["photos"]
    assert photo["status"] == "published"
    (face,) = (face for face in photo["verdict"]["faces"] if face["required"])
    roles = {judgement["recogniser"]: judgement["role"] for judgement in face["judgements"]}
    assert roles == {**dict.fromkeys(NAMES, "surrogate"), "dlib-resnet": "judge"}
    assert (tmp_path / "out" / "astronaut.png").is_file()
