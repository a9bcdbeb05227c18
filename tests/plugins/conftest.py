"""A real recogniser and a real face for all tests of the plugins."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Let torch have one thread, as the worker does: two on busy cores wait for each other, ten times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """Return a portrait of an astronaut, (512, 512, 3), public domain; its face is `portraits.FACE`."""
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def surrogates() -> list[Recogniser]:
    """Return dlib's recogniser: enough to hold an attack to its contract."""
    return [load_recogniser(EMBEDDED / "dlib-resnet")]
