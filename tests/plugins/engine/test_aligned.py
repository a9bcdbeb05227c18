"""The aligned frame: a picture goes into it and a change comes back to the same place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uncnn.plugins.engine.aligned import (
    TEMPLATE,
    ZOOMS,
    aligned,
    placed,
    scale_of,
    softened,
    template_of,
    to_aligned,
    zoom_of,
)
from uncnn.plugins.engine.patches import PATCH_PX
from uncnn.plugins.geometry import Floats, inverse, transform


def landmarks_at(scale: float, degrees: float = 0.0, shift: tuple[float, float] = (40.0, 60.0)) -> Floats:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points: Floats = (TEMPLATE - 112) @ turn.T * scale + 112 * scale + shift
    return points


@pytest.mark.parametrize(("scale", "degrees"), [(0.5, 0), (1.0, 30), (2.6, -15)])
def test_the_landmarks_come_to_the_template(scale: float, degrees: float) -> None:
    points = landmarks_at(scale, degrees)
    assert transform(to_aligned(points)[None], points[None])[0] == pytest.approx(TEMPLATE, abs=1e-6)
    assert scale_of(points) == pytest.approx(scale)


@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 0), (2.0, 90), (3.0, 20), (0.6, -40)])
def test_a_picture_is_seen_where_its_change_is_put(scale: float, degrees: float) -> None:
    points = landmarks_at(scale, degrees, (90.0, 110.0))
    spot = torch.zeros(3, PATCH_PX, PATCH_PX)
    spot[:, 90:120, 60:100] = 100
    region, change = placed(spot, points)
    picture = np.zeros((1400, 1400, 3), np.float32)
    rows, columns = region.clipped(1400, 1400)
    picture[rows, columns] = change.permute(1, 2, 0).numpy()[region.local(rows, columns)]
    seen, inside = aligned(picture.astype(np.uint8), points)
    assert float(inside[..., 2:-2, 2:-2].min()) > 0.99
    middle = seen[0, 0, 95:115, 65:95]
    assert float(middle.min()) > 90
    around = seen[0, 0].clone()
    around[84:126, 54:106] = 0
    assert float(around.max()) < 5
    assert inverse(to_aligned(points)[None]).shape == (1, 2, 3)


@pytest.mark.parametrize("scale", [0.15, 0.2, 0.3])
def test_a_small_face_is_worked_on_at_the_scale_of_its_picture(scale: float) -> None:
    zoom, points = zoom_of(scale), landmarks_at(scale, 25, (150.0, 120.0))
    assert 0.9 <= scale_of(points, zoom) < 1.3
    assert transform(to_aligned(points, zoom)[None], points[None])[0] == pytest.approx(template_of(zoom), abs=1e-6)
    lattice = torch.zeros(3, PATCH_PX, PATCH_PX)
    lattice[:, 104:120, 104:120] = (torch.arange(16) // 2 % 2 * 200.0 - 100)[None, :, None]
    region, change = placed(lattice, points, zoom)
    _, lost = placed(lattice, points)
    assert float(change.abs().max()) > 60, "what is as fine as the picture gets there"
    assert float(lost.abs().max()) < 45, "at the scale of a large face it does not"
    middle = points.mean(axis=0)
    assert abs(region.left + region.side / 2 - middle[0]) < 30 > abs(region.top + region.side / 2 - middle[1])


def test_a_large_face_fills_its_frame() -> None:
    assert [zoom_of(scale) for scale in (0.9, 1.0, 1.7, 4.0)] == [1.0] * 4
    assert zoom_of(0.01) == ZOOMS[-1] == 0.125
    assert template_of(1.0) == pytest.approx(TEMPLATE)


def test_beyond_the_picture_there_is_nothing() -> None:
    seen, inside = aligned(np.full((100, 100, 3), 200, np.uint8), landmarks_at(1.0, shift=(-60.0, 5000.0)))
    assert float(seen.abs().max()) == 0
    assert float(inside.max()) == 0


def test_what_a_small_picture_cannot_hold_is_left_out() -> None:
    lattice = (torch.arange(PATCH_PX) % 2 * 2.0 - 1).expand(1, 3, PATCH_PX, PATCH_PX)
    assert torch.equal(softened(lattice, 1.5), lattice)
    assert float(softened(lattice, 0.4)[..., 20:-20].abs().max()) < 0.1
