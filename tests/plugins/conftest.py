"""What the tests of attacks share: two faces, dlib's recogniser, and the worker process's own settings of torch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from uncnn.exporters.formats.dlib import ensure_dlib
from uncnn.plugins.api import Budget, Face
from uncnn.plugins.batch import PATCH_PX, FaceBatch, cut
from uncnn.plugins.geometry import region_of
from uncnn.plugins.recogniser import Recogniser, load_recogniser


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Set what `uncnn.daemon.worker` sets: two threads that wait for each other on busy cores take ten times longer."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
BESIDE = Face((227.0, 95.0, 306.0, 198.0), ((247, 130), (285, 128), (268, 155), (250, 172), (283, 171)), 0.9)


@pytest.fixture(scope="session")
def cut_faces() -> Callable[..., FaceBatch]:
    """Return a function of a budget and how many faces: one or two, cut from a photo in the public domain."""

    def made(budget: Budget, number: int = 2) -> FaceBatch:
        photo = np.asarray(pytest.importorskip("skimage").data.astronaut())
        faces = [FACE, BESIDE][:number]
        regions = [region_of(np.array(face.landmarks), PATCH_PX) for face in faces]
        return cut(photo, faces, regions, budget, 7, "cpu")

    return made


@pytest.fixture(scope="session")
def dlib(tmp_path_factory: pytest.TempPathFactory) -> list[Recogniser]:
    """Return dlib's recogniser, which is always there."""
    return [load_recogniser(ensure_dlib(tmp_path_factory.mktemp("models")))]
