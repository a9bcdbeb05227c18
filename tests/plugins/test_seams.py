"""No border and no lattice: what becomes of a change between the patch and the photo, whatever the size of the face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
import torch
from portraits import BESIDE, FACE, batch_of

from uncnn.plugins.api import Attack, Budget, Change, Face, Faces, Loss
from uncnn.plugins.attacks.veil import Veil
from uncnn.plugins.engine import host, rendering
from uncnn.plugins.engine.patches import PATCH_PX
from uncnn.plugins.engine.rendering import cubic, enlarged, enlarging
from uncnn.plugins.geometry import ARCFACE_112, Region, region_of
from uncnn.plugins.perception.pixel_bounds import FEATHER_112
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.resampling import gaussian

BUDGET = Budget(steps=2, epsilon_255=4.8, texture=1.65, cap_255=35.0, flow=0.015)  # as wide as the strengths have it
BESIDE_PX = 8  # either side of the border
AROUND_PX = 60  # of photo around the region
SIDES = (PATCH_PX, 300, 700, 2000)
UNITS = 132  # of a region's side: ArcFace-112 pixels, for a face that is a little turned


@dataclass(frozen=True)
class Worst:
    """An attack that asks for the bound everywhere, and for pixels moved as far as they may be."""

    signs: str  # up, down, or by chance

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        noise = faces.noise(0).sign()
        ones = torch.ones_like(noise)
        flow = torch.full_like(noise[:, :2], 1e3) * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
        return Change(1e3 * {"up": ones, "down": -ones, "chance": noise}[self.signs], flow)


def portrait(side: int, textured: bool, level: int = 128) -> tuple[np.ndarray, Face]:
    """Return a photo with a face whose region is so large, on a plain or a textured ground, and where the face is."""
    unit = side / UNITS
    points = ARCFACE_112 @ np.array([[1.0, 0.05], [-0.05, 1.0]]) * unit  # a little turned
    region = region_of(points, PATCH_PX)
    points += [AROUND_PX - region.left, AROUND_PX - region.top]
    size = region.side + 2 * AROUND_PX
    tint = np.clip(level + np.array([0, -10, -20]), 0, 255)  # a grey photo would get a grey change
    photo = np.broadcast_to(tint.astype(np.uint8), (size, size, 3)).copy()
    if textured:
        noise = np.random.default_rng(3).normal(0, 40, (size, size, 1))
        photo = np.clip(photo + noise, 0, 255).astype(np.uint8)
    low, high = points.min(axis=0), points.max(axis=0)
    return photo, Face((*low, *high), tuple(map(tuple, points)), 0.9)  # type: ignore[arg-type]


def bands(region: Region, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return where a photo is outside of the region, and where it is inside but near its border."""
    outside = np.ones(shape[:2], bool)
    outside[region.clipped(*shape[:2])] = False
    within = np.zeros(shape[:2], bool)
    smaller = Region(region.left + BESIDE_PX, region.top + BESIDE_PX, region.side - 2 * BESIDE_PX)
    within[smaller.clipped(*shape[:2])] = True
    return outside, ~outside & ~within


def steepest(change: np.ndarray, where: np.ndarray) -> float:
    """Return the largest difference of neighbours, both ways, of which one is `where`."""
    found = 0.0
    for axis in (0, 1):
        pair = [slice(None)] * 2, [slice(None)] * 2
        pair[0][axis], pair[1][axis] = slice(1, None), slice(None, -1)
        first, second = map(tuple, pair)
        step = np.abs(change[first] - change[second]).max(axis=2)
        found = max(found, float(step[where[first] | where[second]].max(initial=0)))
    return found


def composed(photo: np.ndarray, face: Face, attack: Attack, surrogates: list[Recogniser]) -> tuple[Region, np.ndarray]:
    """Return the face's region and what the attack did to the photo, moved pixels too, in whole grey levels."""
    (patch,) = host.perturb(photo, [face], attack, surrogates, BUDGET, seed=1)
    assert patch.flow is not None
    result, (norms,) = rendering.compose(photo, [patch])
    assert norms.largest_255 > 3
    return patch.region, result.astype(int) - photo


def check_border(region: Region, change: np.ndarray) -> None:
    outside, near = bands(region, change.shape)
    assert not change[outside].any(), "not one pixel outside the region"
    rows, columns = region.clipped(*change.shape[:2])
    square = change[rows, columns]
    assert not square[[0, -1]].any(), "nor on its border"
    assert not square[:, [0, -1]].any()
    across = steepest(change, outside | near)
    elsewhere = steepest(change, ~(outside | near))
    assert across <= max(elsewhere, 1), (across, elsewhere)


@pytest.mark.parametrize(
    ("side", "textured"), [*product(SIDES[:3], (False, True)), pytest.param(SIDES[3], True, marks=pytest.mark.slow)]
)
def test_the_worst_change_has_no_border(side: int, textured: bool, surrogates: list[Recogniser]) -> None:
    photo, face = portrait(side, textured)
    for signs in ("up", "down", "chance") if side < SIDES[3] else ("chance",):
        region, change = composed(photo, face, Worst(signs), surrogates)
        assert region.side == pytest.approx(side, abs=side / 50)
        check_border(region, change)


@pytest.mark.parametrize("times", [1, 3])
def test_nor_has_that_of_the_default_attack(times: int, photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    shown = photo[:320, 60:380].repeat(times, axis=0).repeat(times, axis=1)
    points = tuple((times * (x - 60 + 0.5) - 0.5, times * (y + 0.5) - 0.5) for x, y in FACE.landmarks)
    region, change = composed(shown, replace(FACE, landmarks=points), Veil(), surrogates)
    check_border(region, change)


@pytest.mark.parametrize("side", SIDES[:3])
def test_the_edge_of_the_window_is_soft(side: int, surrogates: list[Recogniser]) -> None:
    """On a plain photo a change of one sign is the bound itself: what people see of its edge is its slope."""
    photo, face = portrait(side, textured=False)
    (patch,) = host.perturb(photo, [face], Worst("up"), surrogates, BUDGET, seed=1)
    change = enlarged(patch.change, patch.region).transpose(1, 2, 0)
    slope = BUDGET.epsilon_255 * np.pi / 2 / (FEATHER_112 * side / UNITS)  # of half a period of a cosine
    assert float(change.max()) == pytest.approx(BUDGET.epsilon_255, rel=0.25), "chroma comes on top"
    assert steepest(change, np.ones(change.shape[:2], bool)) < 1.35 * slope, "both ways' feathers meet"


def test_nothing_is_left_where_enlarging_could_reach_over_the_border() -> None:
    photo, face = portrait(700, textured=True)
    faces = batch_of(photo, [face], BUDGET)
    for limits in (faces.luma_limits, faces.chroma_limits, faces.flow_limits):
        ring = torch.ones(PATCH_PX, PATCH_PX, dtype=torch.bool)
        ring[2:-2, 2:-2] = False
        assert float(limits[0, 0][ring].max()) == 0


@pytest.mark.parametrize(("level", "signs"), [(0, "down"), (2, "chance"), (253, "chance"), (255, "up")])
@pytest.mark.parametrize("side", SIDES[:3])
def test_the_bound_and_the_range_hold_on_the_photo_s_own_pixels(
    level: int, signs: str, side: int, surrogates: list[Recogniser]
) -> None:
    photo, face = portrait(side, textured=True, level=level)
    (patch,) = host.perturb(photo, [face], Worst(signs), surrogates, BUDGET, seed=1)
    moved = rendering.moved(photo, [patch])
    result, _ = rendering.add(moved, [patch])
    rows, columns = patch.region.clipped(*photo.shape[:2])
    inside = patch.region.local(rows, columns)
    bound = enlarged(patch.limits, patch.region)[0][inside][..., None]
    added = result[rows, columns].astype(int) - moved[rows, columns]  # a value that wraps round would be far off
    assert (np.abs(added) <= np.ceil(bound)).all()


def lattice(change: np.ndarray, side: int) -> float:
    """Return the share of an enlarged change's energy that lies at the frequencies of the patch's lattice.

    Those are all that the patch could not hold: beyond half a period a patch pixel, with a margin for what is just
    below, and for the window.
    """
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = np.abs(np.fft.fft2(change[0] * window)) ** 2
    frequency = np.abs(np.fft.fftfreq(side)) * side / PATCH_PX  # periods a patch pixel
    image = np.maximum(frequency[:, None], frequency) > 0.6
    return float(power[image].sum() / power.sum())


@pytest.mark.parametrize("side", [600, 1000])
def test_an_enlarged_change_shows_no_lattice(side: int) -> None:
    """The change is as fine as a real one, whose energy lies between 0.1 and 0.4 periods a patch pixel."""
    noise = torch.from_numpy(np.random.default_rng(4).normal(0, 1, (1, PATCH_PX, PATCH_PX)).astype(np.float32))
    blur = gaussian(PATCH_PX, torch.tensor([0.7]))[0]
    fine = blur @ noise @ blur.T
    region = Region(0, 0, side)
    bilinear = torch.nn.functional.interpolate(fine[None], (side, side), mode="bilinear")[0]
    found, before = lattice(enlarged(fine.numpy(), region), side), lattice(bilinear.numpy(), side)
    assert found < 0.004
    assert before > 4 * found, "what it was"


def bends(rows: np.ndarray, side: int) -> np.ndarray:
    """Return the mean energy of second differences along rows (..., side), by where in a patch pixel they lie."""
    energy = (rows[..., 2:] - 2 * rows[..., 1:-1] + rows[..., :-2]) ** 2
    phase = (((np.arange(1, side - 1) + 0.5) * PATCH_PX / side - 0.5) % 1 * 4).round().astype(int) % 4
    return np.array([energy[..., phase == each].mean() for each in range(4)])


def test_it_bends_between_the_patch_s_pixels_too(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    (patch,) = host.perturb(photo, [BESIDE], Veil(), surrogates, BUDGET, seed=1)
    side = 1000  # no whole multiple of the patch's, so that pixels lie everywhere between its own
    found = bends(enlarged(patch.change, Region(0, 0, side)), side)
    assert found.max() < 6 * found.min(), "bilinear: all of it on the lattice, nothing between"


def test_enlarging_keeps_what_is_even_and_never_overshoots() -> None:
    for side in (PATCH_PX + 1, 2 * PATCH_PX, 1000):
        matrix = enlarging(side, PATCH_PX)
        assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert float(enlarging(2 * PATCH_PX, PATCH_PX).min()) >= 0


def test_a_face_that_is_hardly_enlarged_is_hardly_blurred() -> None:
    assert np.allclose(enlarging(PATCH_PX, PATCH_PX), np.eye(PATCH_PX), atol=1e-6)
    wave = np.cos(np.arange(PATCH_PX) * np.pi / 2)  # as fine as most of a real change
    left = [float((enlarging(PATCH_PX + more, PATCH_PX) @ wave).std() / wave.std()) for more in (10, 60, PATCH_PX)]
    assert left[0] > 0.9
    assert left[0] > left[1] > left[2] > 0.6


def test_the_cubics_are_those_of_the_paper() -> None:
    places = np.array([0.0, 1.0, 2.0], np.float32)
    assert np.allclose(cubic(places, 0.0), [1, 0, 0], atol=1e-6)
    assert np.allclose(cubic(places, 1.0), [4 / 6, 1 / 6, 0], atol=1e-6)
