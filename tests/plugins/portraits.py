"""A public-domain portrait's face, and one beside it that overlaps."""

from __future__ import annotations

import numpy as np

from uncnn.plugins.api import Budget, Face
from uncnn.plugins.engine.batch import FaceBatch, bounded, together
from uncnn.plugins.engine.patches import FaceInPhoto, cut_faces

FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
BESIDE = Face((227.0, 95.0, 306.0, 198.0), ((247, 130), (285, 128), (268, 155), (250, 172), (283, 171)), 0.9)
BUDGET = Budget(steps=6, epsilon_255=3.0, texture=0.3, cap_255=10.0)


def batch_of(photo: np.ndarray, faces: list[Face], budget: Budget = BUDGET, seed: int = 7) -> FaceBatch:
    """Return the patches of some faces."""
    cut = cut_faces([FaceInPhoto(photo, face, seed) for face in faces])
    return together([bounded(face, budget, "cpu") for face in cut])
