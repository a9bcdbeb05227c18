"""A public-domain portrait's face, and one beside it that overlaps."""

from __future__ import annotations

import numpy as np

from uncnn.plugins.api import Budget, Face
from uncnn.plugins.engine.batch import PATCH_PX, FaceBatch, cut
from uncnn.plugins.geometry import region_of

FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
BESIDE = Face((227.0, 95.0, 306.0, 198.0), ((247, 130), (285, 128), (268, 155), (250, 172), (283, 171)), 0.9)
BUDGET = Budget(steps=6, epsilon_255=3.0, texture=0.3, cap_255=10.0)


def batch_of(photo: np.ndarray, faces: list[Face], budget: Budget = BUDGET, seed: int = 7) -> FaceBatch:
    """Return the patches of some faces."""
    return cut(photo, faces, [region_of(np.array(face.landmarks), PATCH_PX) for face in faces], budget, seed, "cpu")
