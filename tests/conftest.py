"""What several tests share: recognisers, a detector and faces, those that come with uncnn where these are enough.

What may not be committed lies beside the checkout, where it does. Detectors are exported once for all that need them:
that takes seconds.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes of tests on two cores: more threads wait for each other

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from uncnn.exporters.registry import store
from uncnn.plugins.geometry import ARCFACE_112, similarities
from uncnn.plugins.recognisers.onnx_recogniser import crop

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")  # a machine may stand still for a while

pytest.register_assert_rewrite("running", "scene")  # helpers of tests/daemon whose asserts say what differs

SHARED = Path(__file__).resolve().parents[2] / "shared"
LONGEST = (
    *("tests/packaging/test_systems.py", "tests/packaging/test_guides.py", "tests/faults/test_systemd.py"),
    *("tests/faults/test_forgotten.py", "tests/daemon/test_sizes.py", "tests/daemon/archive/test_kills.py"),
)
"""Begun first where the order is kept, as `make slow` keeps it: no core is idle at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files first that take longest."""
    items.sort(key=lambda item: item.location[0] not in LONGEST)


def _beside(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder}: real {name} that may not be committed")
    return folder


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Return ../shared/models, or skip the test."""
    return _beside("models")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return ../shared/data, or skip the test."""
    return _beside("data")


@pytest.fixture(scope="session")
def recogniser_folder() -> Callable[[str], Path]:
    """Return what says where a recogniser of a name lies: with uncnn, or in ../shared, else the test is skipped."""

    def folder(name: str) -> Path:
        shipped = store.EMBEDDED / name
        return shipped if shipped.is_dir() else _beside("models") / "reference" / name

    return folder


@pytest.fixture(scope="session")
def faces_144() -> Callable[[int], np.ndarray]:
    """Return what gives a number of aligned faces, (N, 144, 144, 3) uint8, the ArcFace template 16 px from each side.

    Those of many people where ../shared has them, else one public-domain portrait, turned, mirrored and relit.
    """
    people = SHARED / "data" / "faces-144"
    return _of_people if people.is_dir() else _of_the_portrait


def _of_people(number: int) -> np.ndarray:
    files = sorted((SHARED / "data" / "faces-144").glob("*.jpg"))[:: 6000 // number][:number]
    return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])


@pytest.fixture(scope="session")
def portraits() -> Callable[[int], list[np.ndarray]]:
    """Return what gives a number of photos of one face each, (250, 250, 3) uint8: of LFW, else one portrait varied."""
    people = SHARED / "data" / "lfw" / "identities"
    return _photos_of_people if people.is_dir() else _photos_of_one


def _photos_of_people(number: int) -> list[np.ndarray]:
    files = sorted((SHARED / "data" / "lfw" / "identities").rglob("*.jpg"))[: 75 * number : 75]
    return [np.asarray(Image.open(file).convert("RGB")) for file in files]


def _photos_of_one(number: int) -> list[np.ndarray]:
    photo, choice, photos = _astronaut(), np.random.default_rng(0), []
    for one in range(number):
        side = int(choice.integers(200, 280))
        left, top = (int(choice.integers(least, least + 20)) for least in (226 - side // 2 - 10, 10))
        square = Image.fromarray(photo[top : top + side, left : left + side]).resize((250, 250))
        pixels = np.asarray(square).astype(np.float64) * choice.uniform(0.8, 1.15)
        lit = np.clip(pixels, 0, 255).astype(np.uint8)
        photos.append(np.ascontiguousarray(lit[:, ::-1] if one % 2 else lit))
    return photos


def _astronaut() -> np.ndarray:
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())


def _of_the_portrait(number: int) -> np.ndarray:
    photo = _astronaut()
    landmarks = np.array([[207, 110], [245, 108], [228, 135], [210, 152], [243, 151]], np.float64)
    choice, faces = np.random.default_rng(0), []
    for one in range(number):
        moved = landmarks + choice.normal(0, 1.5, (5, 2)) + choice.normal(0, 3, (1, 2))
        face = crop(photo, similarities(moved[None], ARCFACE_112 + 16)[0], (144, 144)).astype(np.float64)
        lit = np.clip(face * choice.uniform(0.6, 1.3) + choice.uniform(-20, 20), 0, 255).astype(np.uint8)
        faces.append(lit[:, ::-1] if one % 2 else lit)
    return np.stack(faces)


@pytest.fixture(scope="session")
def detector_weights() -> Path:
    """Return RetinaFace's weights: as published where ../shared has them, else those that come with uncnn."""
    published = SHARED / "models" / "reference" / "retinaface-mobilenet0.25.pth"
    return published if published.is_file() else store.EMBEDDED / store.OWN_DETECTOR


@pytest.fixture(scope="session")
def detector_folder(detector_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with RetinaFace alone, its weights and what is exported from them."""
    data = tmp_path_factory.mktemp("detector")
    store.models_dir(data).mkdir()
    store.detector_onnx(Path(shutil.copy(detector_weights, store.models_dir(data))), data)
    return store.models_dir(data)


@pytest.fixture(scope="session")
def detector_onnx(detector_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return RetinaFace as ONNX Runtime takes it."""
    return store.detector_onnx(detector_weights, tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="session")
def own_detector_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with nothing in it: the detector comes with uncnn, and nothing is exported of it."""
    data = tmp_path_factory.mktemp("own-detector")
    store.models_dir(data).mkdir()
    return store.models_dir(data)
