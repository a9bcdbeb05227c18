"""Lets the tests import the modules beside them, since pytest's importlib mode adds no folder of its own.

The detector is exported once for all that need it: that takes seconds.
"""

import shutil
import sys
from pathlib import Path

import pytest

from uncnn.exporters import store

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "spawned"))

from scene import Scene
from stub_crew import StubCrew


@pytest.fixture(scope="session")
def detector_folder(shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with RetinaFace alone, as published and as exported."""
    data = tmp_path_factory.mktemp("detector")
    store.models_dir(data).mkdir()
    weights = Path(shutil.copy(shared_models / "upstream" / "retinaface-mobilenet0.25.pth", store.models_dir(data)))
    store.detector_onnx(weights, data)
    return store.models_dir(data)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(tmp_path)
    monkeypatch.setenv("UNCNN_STATE", str(made.state))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("uncnn.daemon.once.Crew", StubCrew)
    return made
