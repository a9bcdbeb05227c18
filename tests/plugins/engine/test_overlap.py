"""Faces whose patches share pixels: together they keep to the budget of one, and alone they are what they were."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from portraits import BESIDE, BUDGET, FACE

from uncnn.plugins.api import Budget, Change, Face, Faces, Loss, Pixels
from uncnn.plugins.engine import host, rendering
from uncnn.plugins.engine.batch import FaceBatch, bounded
from uncnn.plugins.engine.joint import joint, onto
from uncnn.plugins.engine.overlap import share
from uncnn.plugins.engine.patches import PATCH_PX, FaceInPhoto, cut_faces
from uncnn.plugins.engine.rendering import enlarged
from uncnn.plugins.geometry import Region, beside, region_of
from uncnn.plugins.perception.pixel_bounds import TEXTURE_SIGMA_PX, luma_of
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import make_attack
from uncnn.plugins.resampling import gaussian

FLAT = replace(BUDGET, rms=1.2, steps=1, flow=0.01)
ENLARGED = (
    0.1  # grey levels: bounds and changes of faces of other sizes are enlarged each by itself (0.047 in 246 scenes)
)
FAR = Face((20, 320, 80, 390), ((35, 345), (65, 345), (50, 360), (38, 375), (62, 375)), 0.9)


@dataclass(frozen=True, slots=True)
class Greedy:
    """Asks for far more than the budget has, in one sign: the worst that faces can do to each other."""

    ask: float = 300.0

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        return Change(self.ask * (faces.noise(0) * 0.2 + 1))


@dataclass(frozen=True, slots=True)
class Pusher:
    """Moves every pixel to the right as far as it may."""

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        flow = torch.cat([faces.flow_limits, torch.zeros_like(faces.flow_limits)], dim=1)
        return Change(torch.zeros_like(faces.patches), flow)


@dataclass(frozen=True, slots=True)
class Colourful:
    """Asks for colour."""

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        return Change(faces.luma_limits * faces.patches.new_tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1))


def shifted(face: Face, across: float, down: float, scale: float = 1.0) -> Face:
    points = (np.array(face.landmarks) - face.landmarks[2]) * scale + face.landmarks[2] + (across, down)
    low, high = points.min(axis=0) - 20 * scale, points.max(axis=0) + 20 * scale
    return Face((*low, *high), tuple(map(tuple, points)), face.score)


def onto_photo(values: torch.Tensor | np.ndarray, region: Region, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a patch's values, (C, P, P), where they lie in a photo of `shape`, (C, H, W); 0 elsewhere."""
    values = np.asarray(values)
    placed = np.zeros((values.shape[0], *shape[:2]), np.float32)
    rows, columns = region.clipped(*shape[:2])
    placed[:, rows, columns] = enlarged(values, region)[:, *region.local(rows, columns)]
    return torch.from_numpy(placed)


def own_bounds(photo: Pixels, face: Face, budget: Budget) -> tuple[Region, FaceBatch]:
    (own,) = cut_faces([FaceInPhoto(photo, face, 1)])
    return own.region, bounded(own, budget, "cpu")


def widest(photo: Pixels, faces: list[Face], name: str) -> torch.Tensor:
    """Return the widest of the faces' own bounds at each pixel of the photo, (1, H, W)."""
    placed = []
    for face in faces:
        region, batch = own_bounds(photo, face, FLAT)
        placed.append(onto_photo(getattr(batch, name)[0], region, photo.shape))
    return torch.stack(placed).amax(dim=0)


@settings(max_examples=5)
@given(
    st.lists(
        st.tuples(st.integers(-60, 60), st.integers(-50, 60), st.sampled_from([0.6, 1.0, 2.5])), min_size=1, max_size=3
    )
)
def test_the_sum_keeps_to_the_widest_bound_of_one(
    photo: Pixels, surrogates: list[Recogniser], places: list[tuple[int, int, float]]
) -> None:
    faces = [FACE, *(shifted(FACE, *place) for place in places)]
    patches = host.perturb(photo, faces, Greedy(), surrogates, FLAT, 1)
    total = sum(onto_photo(patch.change, patch.region, photo.shape) for patch in patches)
    assert isinstance(total, torch.Tensor)
    clear = torch.from_numpy(((photo > 40) & (photo < 215)).all(axis=2))[None]  # nothing is cut off at 0 or 255
    luma = luma_of(total[None])[0]
    assert (luma.abs() <= widest(photo, faces, "luma_limits") + ENLARGED)[clear].all()
    chroma = widest(photo, faces, "chroma_limits") + ENLARGED
    assert ((total[2:] - luma).abs() / 1.772 <= chroma)[clear].all()
    assert ((total[:1] - luma).abs() / 1.402 <= chroma)[clear].all()
    composed, _ = rendering.compose(photo, patches)
    added = torch.from_numpy(composed.astype(np.float32) - photo).permute(2, 0, 1)
    assert ((added - total).abs() <= 0.5 * len(faces) + 0.01)[:, clear[0]].all()


def test_the_local_root_mean_square_of_the_sum_keeps_to_the_widest_bound(
    photo: Pixels, surrogates: list[Recogniser]
) -> None:
    def over(faces: list[Face]) -> float:
        patches = host.perturb(photo, faces, Greedy(), surrogates, FLAT, 1)
        total = torch.stack([onto_photo(patch.change, patch.region, photo.shape) for patch in patches]).sum(dim=0)
        blur = gaussian(photo.shape[0], torch.tensor([TEXTURE_SIGMA_PX]))[0]
        local = (blur @ luma_of(total[None])[0] ** 2 @ blur.T).sqrt()
        return float((local - widest(photo, faces, "rms_limits")).max())

    left_over = max(over([FACE]), over([BESIDE]))  # by `perception.bound_rms`, where a face's bound falls off
    assert over([FACE, BESIDE]) <= left_over + 0.05, "what is left over where two bounds fall off is hardly more"


def test_shares_add_up_to_one_where_faces_meet(photo: Pixels) -> None:
    faces = [FACE, BESIDE]
    near = beside(faces)
    assert near == [(BESIDE,), (FACE,)]
    placed = []
    for face, others in zip(faces, near, strict=True):
        region, batch = own_bounds(photo, face, FLAT)
        part = share(face, others, region, PATCH_PX, "cpu")
        assert part is not None
        assert (part[0] > 0)[batch.luma_limits[0] > 0].all()
        placed.append(onto_photo(part[0], region, photo.shape))
    both = (placed[0] > 0) & (placed[1] > 0)
    assert both.any()
    assert torch.allclose((placed[0] + placed[1])[both], torch.ones(()), atol=1e-4)


def test_a_face_that_shares_no_pixel_comes_out_to_the_bit_as_alone(photo: Pixels, surrogates: list[Recogniser]) -> None:
    assert beside([FACE, FAR]) == [(), ()]
    third = shifted(FACE, 20, 10)
    region = region_of(np.array(FACE.landmarks), PATCH_PX)
    touching = shifted(FACE, 128, 0)  # their regions touch, their windows do not
    assert beside([FACE, touching])[0] == (touching,)
    assert share(FACE, [touching], region, PATCH_PX, "cpu") is None
    alone, both = [
        host.perturb_all([FaceInPhoto(photo, FAR, 1), *others], make_attack("veil", {}), surrogates, FLAT)[0]
        for others in (
            [FaceInPhoto(photo, FACE, 1), FaceInPhoto(photo, third, 1)],
            [FaceInPhoto(photo, FACE, 1, beside=(third,)), FaceInPhoto(photo, third, 1, beside=(FACE,))],
        )
    ]
    assert np.array_equal(alone.change, both.change)
    assert np.array_equal(alone.limits, both.limits)


def test_only_what_has_no_colour_gets_no_chroma(photo: Pixels, surrogates: list[Recogniser]) -> None:
    grey = np.repeat(photo.mean(axis=2).astype(np.uint8)[..., None], 3, axis=2)
    tinted = grey.copy()
    tinted[..., 2] = np.minimum(tinted[..., 2], 245) + 8
    spread = [
        float(np.ptp(patch.change, axis=0).max())
        for shown in (grey, tinted)
        for patch in host.perturb(shown, [FACE], Colourful(), surrogates, FLAT, 1)
    ]
    assert spread[0] < 1e-4
    assert spread[1] > 0.5


def test_the_order_of_the_faces_does_not_matter(photo: Pixels, surrogates: list[Recogniser]) -> None:
    one, _ = rendering.compose(photo, host.perturb(photo, [FACE, BESIDE], Greedy(), surrogates, FLAT, 1))
    other, _ = rendering.compose(photo, host.perturb(photo, [BESIDE, FACE], Greedy(), surrogates, FLAT, 1))
    assert np.abs(one.astype(int) - other).max() <= 1


def test_pixels_that_several_faces_move_go_no_further_than_one_may(photo: Pixels, surrogates: list[Recogniser]) -> None:
    loose = replace(FLAT, flow=0.02)
    faces = [FACE, BESIDE]
    patches = host.perturb(photo, faces, Pusher(), surrogates, loose, 1)
    placed = [onto_photo(patch.flow[:1], patch.region, photo.shape) for patch in patches if patch.flow is not None]
    most = max(float(own_bounds(photo, face, loose)[1].flow_limits.max()) for face in faces)
    assert float(torch.stack(placed).sum(dim=0).max()) == pytest.approx(most, rel=0.02)


@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0])
def test_a_change_is_shown_where_it_lies_in_the_photo(scale: float) -> None:
    first, second = Region(100, 40, PATCH_PX), Region(130, 90, round(PATCH_PX * scale))
    smooth = torch.zeros(1, 1, PATCH_PX, PATCH_PX)
    ys, xs = torch.meshgrid(torch.arange(PATCH_PX), torch.arange(PATCH_PX), indexing="ij")
    smooth[0, 0] = torch.exp(-((xs - 120) ** 2 + (ys - 130) ** 2) / 400)
    shown = onto(smooth, first, second)[0, 0]
    row, column = divmod(int(shown.argmax()), PATCH_PX)
    assert column == pytest.approx((220 - 130 + 0.5) / scale - 0.5, abs=1)
    assert row == pytest.approx((170 - 90 + 0.5) / scale - 0.5, abs=1)
    if scale == 1.0:
        assert torch.allclose(shown[:-50, :-30], smooth[0, 0, 50:, 30:], atol=1e-4)


@dataclass(frozen=True, slots=True)
class Brightness(Loss):
    """A loss by which the faces want to be dark where `where` is: its gradient is known."""

    where: torch.Tensor

    def __call__(self, inputs: torch.Tensor, step: int) -> torch.Tensor:
        return (inputs * self.where).sum(dim=(1, 2, 3))

    def gradient(self, inputs: torch.Tensor, step: int) -> torch.Tensor:
        return self.where.expand_as(inputs).clone()


def test_faces_that_overlap_are_seen_with_each_others_change_and_pull_at_it() -> None:
    regions = [Region(0, 0, PATCH_PX), Region(100, 0, PATCH_PX), Region(900, 0, PATCH_PX)]
    clean = torch.full((3, 3, PATCH_PX, PATCH_PX), 100.0)
    shown = clean.clone()
    shown[1, :, 50, 20] += 8  # 120, 50 in the photo: in the first face's patch too
    shown[2, :, 50, 20] += 8
    loss = joint(Brightness(torch.ones(1)), clean, regions, [(0, 1), (1, 0)], [[], [], []])  # type: ignore[arg-type]
    before, after = (Brightness(torch.ones(1))(each, 0) for each in (clean, shown))
    assert loss(shown, 0).tolist() == pytest.approx([float(before[0]) + 24, float(after[1]), float(after[2])])
    gradient = loss.gradient(shown, 0)
    assert gradient[1, 0, 50, 20] == pytest.approx(2, abs=1e-4), "it counts for both"
    assert gradient[1, 0, 50, 200] == pytest.approx(1, abs=1e-4), "out of the other's sight"
    assert torch.equal(gradient[2], torch.ones(3, PATCH_PX, PATCH_PX)), "who is alone is as before, to the bit"


def test_what_stands_beside_a_face_is_seen_and_not_undone() -> None:
    regions = [Region(0, 0, PATCH_PX)]
    clean = torch.full((1, 3, PATCH_PX, PATCH_PX), 100.0)
    plain = Brightness(torch.ones(1))
    assert joint(plain, clean, regions, [], [[]]) is plain  # type: ignore[arg-type,comparison-overlap]
    done = torch.zeros(3, PATCH_PX, PATCH_PX)
    done[:, 50, 20] = 5
    loss = joint(plain, clean, regions, [], [[(done, Region(100, 0, PATCH_PX))]])  # type: ignore[arg-type]
    assert float(loss(clean, 0)[0] - plain(clean, 0)[0]) == pytest.approx(15)
    assert loss.gradient(clean, 0).min() == 1
