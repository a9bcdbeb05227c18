"""A real recogniser and a real face for all tests of the plugins, and the worker process's own settings of torch."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from uncnn.exporters.formats.dlib import ensure_dlib
from uncnn.plugins.recogniser import Recogniser, load_recogniser

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Set what `uncnn.daemon.worker` sets: two threads that wait for each other on busy cores take ten times longer."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """Return a portrait of an astronaut, (512, 512, 3), public domain; its face is `portraits.FACE`."""
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def surrogates(tmp_path_factory: pytest.TempPathFactory) -> list[Recogniser]:
    """Return dlib's recogniser: always there, and enough to hold an attack to its contract."""
    return [load_recogniser(ensure_dlib(tmp_path_factory.mktemp("models")))]
