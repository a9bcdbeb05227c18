"""Faces so near to each other that their patches share pixels: who may change how much of them.

The budget of a pixel is one, however many faces want it. So each face has, of its own bounds, the share that its window
has of all windows there. What the faces do adds up to no more than the widest of their own bounds, in luma, in chroma
and in the local root mean square, since each is at most a weighted mean of theirs: the weights are the shares. A face
that is alone has all of its bounds, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from uncnn.plugins.api import Face
from uncnn.plugins.geometry import ARCFACE_112, Floats, Region, similarities
from uncnn.plugins.perception.pixel_bounds import window


def share(face: Face, others: Sequence[Face], region: Region, side: int, device: str) -> Tensor | None:
    """Return how much of its bounds a face has at each pixel of its patch, (1, 1, side, side) in 0..1.

    None: it shares no pixel with `others`. `region` is the patch's in the photo.
    """
    own = window(_to_template(face, region, side), side, device)
    total = own.clone()
    for other in others:
        total += window(_to_template(other, region, side), side, device) * (own > 0)
    if bool((total == own).all()):
        return None
    return own / total.clamp(min=1e-12)


def _to_template(face: Face, region: Region, side: int) -> Floats:
    """Return the map, (2, 3), of a region's patch pixels into the ArcFace-112 frame of a face."""
    corner = np.array([region.left, region.top])
    points = (np.array(face.landmarks) - corner + 0.5) * (side / region.side) - 0.5
    matrix: Floats = similarities(points[None], ARCFACE_112)[0]
    return matrix
