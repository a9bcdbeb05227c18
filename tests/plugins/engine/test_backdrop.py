"""What is plain and no face is left as it is: a wall beside a narrow face, smooth hair; never skin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portraits import FACE, batch_of

from uncnn.plugins.api import Budget, Change, Face, Faces, Loss
from uncnn.plugins.engine import batch, host, rendering
from uncnn.plugins.engine.backdrop import backdrop
from uncnn.plugins.engine.patches import PATCH_PX
from uncnn.plugins.geometry import ARCFACE_112, region_of, similarities, transform
from uncnn.plugins.perception.pixel_bounds import oval, window
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

UNIT = 1.75  # patch pixels to an ArcFace-112 pixel
POINTS = ARCFACE_112 * UNIT + 14
TO_TEMPLATE = similarities(POINTS[None], ARCFACE_112)
SKIN, WALL, SHIRT = (205, 150, 125), (90, 110, 160), (40, 40, 45)
NARROW = 32.0  # half the width of the face, ArcFace-112 pixels: the oval is 44


def drawn(wall: tuple[int, int, int] = WALL, waves: float = 0.0, light: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a narrow face before a wall, (P, P, 3), with a neck and a shirt below, and where its wall is."""
    across, down, _ = oval(TO_TEMPLATE[0], PATCH_PX)
    skin = (np.hypot((across - 56) / NARROW, (down - 60) / 56) < 1) | ((np.abs(across - 56) < 20) & (down > 80))
    pattern = waves * np.sin(across * 1.2) * np.sin(down * 1.2)
    photo = np.where(skin[..., None], SKIN, wall + pattern[..., None])
    photo[(down > 112) & ~skin] = SHIRT
    for x, y in ARCFACE_112:
        photo[np.hypot(across - x, (down - y) * 1.6) < 6] = 60  # eyes, nose, mouth
    return np.clip(photo * light, 0, 255).astype(np.uint8), ~skin & (down < 95)


def found(photo: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Return the backdrop of one patch, (P, P)."""
    known = torch.ones(1, 1, PATCH_PX, PATCH_PX, dtype=torch.bool)
    if inside is not None:
        known &= torch.from_numpy(inside)
    patch = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float()
    return backdrop(patch, known, TO_TEMPLATE)[0, 0].numpy()


def deep(where: np.ndarray, reach: int = 6) -> np.ndarray:
    """Return where it holds all around, so far."""
    tensor = torch.from_numpy(where)[None, None].float()
    return (-torch.nn.functional.max_pool2d(-tensor, 2 * reach + 1, 1, reach) > 0)[0, 0].numpy()


@pytest.mark.parametrize("light", [1.0, 0.5])
def test_a_plain_wall_beside_a_narrow_face_is_backdrop_and_the_face_is_not(light: float) -> None:
    photo, wall = drawn(light=light)
    share = found(photo)
    _, down, distance = oval(TO_TEMPLATE[0], PATCH_PX)
    beside = deep(wall) & (distance < 1.2)
    assert beside.sum() > 2000, "the oval reaches over it"
    assert share[beside & (down < 85)].min() > 0.95
    assert share[deep(~wall)].max() < 0.05


@pytest.mark.parametrize(
    ("wall", "waves"), [(WALL, 40.0), (SKIN, 0.0), ((190, 150, 140), 0.0)], ids=["texture", "skin", "like skin"]
)
def test_where_it_is_in_doubt_it_is_the_face_s(wall: tuple[int, int, int], waves: float) -> None:
    photo, _ = drawn(wall, waves)
    assert found(photo).mean() < 0.02


def test_a_gap_in_the_outline_lets_the_wall_in_no_further_than_the_face_lets_it() -> None:
    photo, wall = drawn()
    ramp = np.linspace(0, 1, PATCH_PX)[None, :, None]
    row = slice(100, 112)  # across the cheek the wall becomes skin by and by
    photo[row] = (np.array(WALL) * (1 - ramp) + np.array(SKIN) * ramp).astype(np.uint8)
    share = found(photo)
    _, _, distance = oval(TO_TEMPLATE[0], PATCH_PX)
    assert share[distance < 0.5].max() < 0.05
    assert share[deep(wall)].mean() > 0.6


def test_where_the_photo_ends_there_is_no_backdrop() -> None:
    photo, wall = drawn(wall=(0, 0, 0))
    inside = ~wall
    share = found(photo, inside)
    assert share.max() == 0


def test_a_black_photo_is_no_backdrop() -> None:
    assert found(np.zeros((PATCH_PX, PATCH_PX, 3), np.uint8)).max() == 0


def test_faces_of_a_batch_do_not_see_each_other() -> None:
    first, second = (torch.from_numpy(drawn(light=light)[0]).permute(2, 0, 1).float() for light in (1.0, 0.7))
    everywhere = torch.ones(2, 1, PATCH_PX, PATCH_PX, dtype=torch.bool)
    both = backdrop(torch.stack([first, second]), everywhere, np.concatenate([TO_TEMPLATE, TO_TEMPLATE]))
    assert torch.equal(both[1:], backdrop(second[None], everywhere[:1], TO_TEMPLATE))


class Everything:
    """An attack that wants all that it may have."""

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        return Change(1e3 * faces.noise(0).sign())


def test_no_attack_changes_a_plain_wall(surrogates: list[Recogniser], monkeypatch: pytest.MonkeyPatch) -> None:
    photo, wall = drawn()
    face = Face((40.0, 20.0, 184.0, 210.0), tuple(map(tuple, POINTS)), 0.9)  # type: ignore[arg-type]
    region = region_of(POINTS, PATCH_PX)
    opened = window(TO_TEMPLATE[0], PATCH_PX, "cpu")[0, 0].numpy() > 0.3
    beside = deep(wall) & opened & (oval(TO_TEMPLATE[0], PATCH_PX)[1] < 85)
    budget = Budget(steps=1, epsilon_255=4.0, texture=1.2, cap_255=26.0, rms=2.0)
    assert region.side == pytest.approx(PATCH_PX, abs=10)
    changes = []
    for known in (backdrop, lambda patches, *_: torch.zeros_like(patches[:, :1])):
        monkeypatch.setattr(batch, "backdrop", known)
        result, _ = rendering.compose(photo, host.perturb(photo, [face], Everything(), surrogates, budget, seed=1))
        changes.append(np.abs(result.astype(int) - photo)[beside].mean())
        assert np.abs(result.astype(int) - photo)[~wall & opened].mean() > 0.8, "the face is changed"
    assert changes[0] == 0
    assert changes[1] > 0.8, "what it was"


def test_a_real_face_keeps_its_bounds(photo: np.ndarray) -> None:
    """The astronaut: eyes, nose, mouth and cheeks are all hers."""
    faces = batch_of(photo, [FACE])
    to_patch = similarities(ARCFACE_112[None], faces.points[0])
    marks = np.array([[[30.0, 75.0], [82.0, 75.0], [56.0, 30.0], [56.0, 100.0], *map(tuple, ARCFACE_112)]])
    for x, y in transform(to_patch, marks)[0]:
        assert float(faces.luma_limits[0, 0, round(y), round(x)]) > 2.9
