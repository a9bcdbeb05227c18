"""What several tests share: the real models and photos that lie beside the checkout, where they do.

Detectors are exported once for all that need them: that takes seconds.
"""

import shutil
from pathlib import Path

import pytest

from uncnn.exporters import store

pytest.register_assert_rewrite("running", "scene")  # helpers of tests/daemon whose asserts say what differs

SHARED = Path(__file__).resolve().parents[2] / "shared"


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
def detector_folder(shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with RetinaFace alone, as published and as exported."""
    data = tmp_path_factory.mktemp("detector")
    store.models_dir(data).mkdir()
    weights = Path(shutil.copy(shared_models / "reference" / "retinaface-mobilenet0.25.pth", store.models_dir(data)))
    store.detector_onnx(weights, data)
    return store.models_dir(data)


@pytest.fixture(scope="session")
def own_detector_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with the detector that comes with uncnn, as exported."""
    data = tmp_path_factory.mktemp("own-detector")
    store.detector_onnx(store.EMBEDDED / store.OWN_DETECTOR, data)
    return store.models_dir(data)
