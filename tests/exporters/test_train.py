"""The recipe of the detector, in small: who is trained on, what is drawn, and what is shipped."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from uncnn.exporters.train import detector, scenes
from uncnn.exporters.train.augment import relight
from uncnn.exporters.train.faces import TrainingError, held_out, person_of, read_faces
from uncnn.exporters.train.ship import DETECTOR_FILE, ship_detector
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace, load_network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def few_faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for file in sorted((shared_data / "faces-144").glob("*.jpg"))[:120]:
        (folder / file.name).symlink_to(file)
    return folder


def test_nobody_is_on_both_sides(few_faces: Path) -> None:
    _, train = read_faces(few_faces, training=True)
    _, kept = read_faces(few_faces, training=False)
    assert not set(train) & set(kept)
    assert len(train) + len(kept) == 120
    assert all(held_out(person) for person in kept)
    assert person_of(Path("Anna_Maria_Smith_0012.jpg")) == "Anna_Maria_Smith"


def test_nobody_of_the_benchmark_folders_is_trained_on(shared_data: Path) -> None:
    trained = {person_of(file) for file in (shared_data / "faces-144").glob("*.jpg")}
    measured = {path.name for path in (shared_data / "lfw" / "identities").iterdir()}
    measured |= {person_of(file) for file in (shared_data / "lfw" / "distractors").rglob("*.jpg")}
    assert len(measured) > 1000
    assert not trained & measured


def test_light_keeps_shape_and_changes_pixels() -> None:
    pixels = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    lit = relight(pixels, np.random.default_rng(0), grey=1.0)
    assert lit.shape == pixels.shape
    assert bool(torch.isfinite(lit).all())
    assert (lit - pixels).abs().mean() > 1


def test_a_folder_without_faces_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="name the folder of training faces"):
        read_faces(tmp_path, training=True)
    Image.new("RGB", (100, 100)).save(tmp_path / "Ann_Lee_0001.jpg")
    with pytest.raises(TrainingError, match="align it to 144 x 144"):
        read_faces(tmp_path, training=not held_out("Ann_Lee"))


def test_the_detector_learns_and_is_shipped_whole(
    shared_data: Path, shared_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, form = load_network(shared_models / "reference" / "retinaface-mobilenet0.25.pth")
    assert isinstance(teacher, MobileNetRetinaFace)
    photos = [Image.open(file).convert("RGB") for file in sorted((shared_data / "widerface").rglob("*.jpg"))[:4]]
    faces = np.asarray(Image.open(next((shared_data / "faces-144").glob("*.jpg"))))[None]
    reports: list[dict[str, float]] = []
    drawn = scenes.Scenes(photos, photos, faces)
    monkeypatch.setattr(detector, "PIXELS", 4 * 256 * 256)
    course = detector.Course(samples=4 * 100)
    network = detector.teach(
        teacher, form, drawn, course, torch.device("cpu"), report=lambda _n, losses: reports.append(dict(losses))
    )
    assert reports[-1]["faces"] < reports[0]["faces"]
    assert reports[-1]["features"] < reports[0]["features"]
    file = ship_detector(network, tmp_path)
    assert file.name == DETECTOR_FILE
    assert file.stat().st_size <= 2e6
    loaded, _ = load_network(file)
    assert {value.dtype for value in load_file(file).values()} <= {torch.float16, torch.int64}
    images = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(loaded(images), network(images), strict=True):
            assert (ours - theirs).abs().max() < 0.05


def test_half_of_the_measured_photos_are_kept_from_training(shared_data: Path) -> None:
    for name in ("widerface", "noface"):
        files = list((shared_data / name).rglob("*.jpg"))
        share = sum(scenes.held_out(file) for file in files) / len(files)
        assert 0.4 < share < 0.6


def run_recipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uncnn.exporters.train", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_recipe_names_what_is_missing(detector_weights: Path, tmp_path: Path) -> None:
    shutil.copy(detector_weights, tmp_path / "retinaface-mobilenet0.25.pth")
    ran = run_recipe("--models", str(tmp_path), "--data", str(tmp_path), "-o", str(tmp_path))
    assert ran.returncode == 1
    assert "name the folder of training faces" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_course_of_nothing_is_refused(tmp_path: Path) -> None:
    ran = run_recipe("--data", str(tmp_path), "-o", str(tmp_path), "--samples", "31")
    assert ran.returncode == 2
    assert "--samples: '31' is no course: give a number from 1000 on" in ran.stderr
