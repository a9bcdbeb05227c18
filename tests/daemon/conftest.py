"""Lets the tests import the modules beside them, since pytest's importlib mode adds no folder of its own.

The detector is exported once for all that need it: that takes seconds.
"""

import shutil
import sys
from pathlib import Path

import pytest

from uncnn.exporters import store

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def detector_folder(shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with RetinaFace alone, as published and as exported."""
    data = tmp_path_factory.mktemp("detector")
    store.models_dir(data).mkdir()
    weights = Path(shutil.copy(shared_models / "upstream" / "retinaface-mobilenet0.25.pth", store.models_dir(data)))
    store.detector_onnx(weights, data)
    return store.models_dir(data)
