"""Faces of several photos in one batch: the real worker, with the models that come with uncnn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uncnn.daemon.verify.verdict import FACES
from uncnn.daemon.worker import Worker
from uncnn.exporters.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins import host
from uncnn.plugins.api import PluginError
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.recogniser import load_recogniser

ATTACK = {"name": "pgd", "parameters": {"steps": 2}}


@pytest.fixture(scope="module")
def worker() -> Worker:
    name = next(path.parent.name for path in sorted(EMBEDDED.glob("*/model.onnx")))
    return Worker(load_torch(EMBEDDED / OWN_DETECTOR), [load_recogniser(EMBEDDED / name)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    skimage = pytest.importorskip("skimage")
    face = Image.fromarray(skimage.data.astronaut()).crop((130, 0, 330, 200))
    folder = tmp_path_factory.mktemp("photos")
    made = [face, face.transpose(Image.Transpose.FLIP_LEFT_RIGHT), face.convert("L"), face.resize((260, 260))]
    for number, photo in enumerate(made):
        photo.save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no photo")
    return sorted(folder.iterdir())


def cloak(worker: Worker, photo: Path, out: Path, following: list[Path]) -> np.ndarray:
    faces = worker.look(photo, photo.name).faces
    assert len(faces) == 1
    request: dict[str, Any] = {
        "source": str(photo),
        "name": photo.name,
        "destination": str(out),
        "faces": FACES.dump_python(faces, mode="json"),
        "strengths": ["balanced"],
        "attack": ATTACK,
        "format": "PNG",
        "quality": "same",
        "next": [{"source": str(each), "name": each.name} for each in following],
        "smallest_px": 24,
    }
    worker.cloak(request, lambda _progress: None)
    return np.asarray(Image.open(out).convert("RGB")).astype(int)


def test_a_photo_comes_out_the_same_alone_and_beside_others(
    worker: Worker, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    real = host.perturb_all

    def counted(portraits, *arguments):
        batches.append(len(portraits))
        return real(portraits, *arguments)

    monkeypatch.setattr("uncnn.daemon.worker.perturb_all", counted)
    sound = [photo for photo in photos if photo.stem != "broken"]
    alone = []
    for photo in sound:
        worker.subjects.clear()
        alone.append(cloak(worker, photo, tmp_path / "alone.png", []))
    assert batches == [1, 1, 1, 1]
    batches.clear()
    worker.subjects.clear()
    beside = [cloak(worker, photo, tmp_path / "beside.png", photos) for photo in sound]
    assert batches == [4]  # the first photo's turn did the faces of all
    for one, other in zip(alone, beside, strict=True):
        assert one.shape == other.shape
        differs = np.abs(one - other) > 1  # the sign of a gradient near zero may turn
        assert differs.mean() < 0.001


def test_a_batch_that_fails_is_no_fault_of_the_photo(
    worker: Worker, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = host.perturb_all

    def failing(portraits, *arguments):
        if len(portraits) > 1:
            raise PluginError("one of them is too much")
        return real(portraits, *arguments)

    monkeypatch.setattr("uncnn.daemon.worker.perturb_all", failing)
    worker.subjects.clear()
    before = np.asarray(Image.open(photos[0]).convert("RGB")).astype(int)
    assert np.abs(cloak(worker, photos[0], tmp_path / "out.png", photos[1:]) - before).max() > 0
