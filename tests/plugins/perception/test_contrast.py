"""What is seen bounds what is changed: the bands, their thresholds, and what the host lets through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from portraits import BESIDE, BUDGET, FACE, batch_of

from uncnn.plugins.engine import host
from uncnn.plugins.engine.batch import FaceBatch, together
from uncnn.plugins.engine.patches import FaceInPhoto, cut_faces
from uncnn.plugins.perception import contrast, pyramid, vision
from uncnn.plugins.perception.contrast import Bands
from uncnn.plugins.perception.displays import DESKTOP, DISPLAYS, PHONE, ZOOMED, linear, linear_slope

SEEN = replace(BUDGET, epsilon_255=48.0, cap_255=48.0, chroma=1.0, visibility=3.0)


def bands_of(batch: FaceBatch) -> Bands:
    assert batch.bands is not None
    return batch.bands


@pytest.mark.parametrize("side", [224, 75, 32])
def test_the_bands_of_a_picture_sum_to_it(side: int) -> None:
    picture = torch.rand(2, 3, side, side)
    bands, grounds = pyramid.split(picture, 4)
    assert [band.shape[3] for band in bands[:2]] == [side, (side + 1) // 2]
    assert torch.allclose(pyramid.merge(bands), picture, atol=1e-5)
    assert torch.allclose(bands[0] + grounds[0], picture, atol=1e-6)


def test_what_is_given_as_a_fine_band_adds_hardly_anything_coarse() -> None:
    flat = [torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 16, 16)]
    assert float(pyramid.merge(pyramid.limited(flat)).abs().max()) < 1e-5
    assert float(pyramid.merge(flat).min()) == 1.0, "as it is, a plain band is a plain picture"


def test_photos_are_made_smaller_to_fit_and_never_larger() -> None:
    assert PHONE.scale(4000, 3000) == pytest.approx(0.36)
    assert DESKTOP.scale(4000, 3000) == pytest.approx(0.27)
    assert DESKTOP.scale(250, 250) == 1.0
    assert ZOOMED.scale(250, 250) == 2.0


def test_the_slope_of_light_is_its_derivative() -> None:
    values = torch.linspace(0.1, 1, 50)
    slope = (linear(values + 1e-3) - linear(values - 1e-3)) / 2e-3
    assert torch.allclose(linear_slope(values), slope.clamp(min=0.15), rtol=1e-2)


@pytest.mark.slow
def test_the_sensitivity_is_that_of_colorvideovdp() -> None:
    pycvvdp = pytest.importorskip("pycvvdp", reason="cvvdp is not installed")
    metric = pycvvdp.cvvdp(display_name="standard_fhd", device=torch.device("cpu"), quiet=True)
    light = torch.tensor([[0.7, 5.0, 40.0, 190.0]])
    for cycles in (0.6, 1.7, 3.05, 6.1, 18.9):
        for channel in range(3):
            theirs = metric.csf.sensitivity(cycles, 0, torch.log10(light)[None, None, None], channel, metric.csf_sigma)
            ours = contrast._sensitivity(light, cycles)[channel]
            assert torch.allclose(ours, theirs.reshape(ours.shape) * vision.CORRECTION, rtol=0.01)
    assert metric.pix_per_deg == pytest.approx(DESKTOP.pixels_per_degree, rel=1e-3)
    assert float(metric.mask_p) == pytest.approx(vision.POWER, abs=1e-3)
    theirs = (metric.xcm_weights.view(4, 4)[:3, :3]).T
    assert torch.allclose(torch.tensor(vision.CROSS_MASKING), theirs, atol=1e-3)


def test_a_change_at_the_threshold_is_hardly_seen_and_a_larger_one_is(photo: np.ndarray) -> None:
    pycvvdp = pytest.importorskip("pycvvdp", reason="cvvdp is not installed")
    metric = pycvvdp.cvvdp(display_name="standard_fhd", device=torch.device("cpu"), quiet=True)

    def jod(visibility: float) -> float:
        batch = batch_of(photo, [FACE], replace(SEEN, visibility=visibility))
        change = batch.valid(1e3 * batch.noise(0))
        seen = [(batch.patches + part)[0].clamp(0, 255).round().byte().numpy() for part in (change, 0 * change)]
        return float(metric.predict(*seen, dim_order="CHW")[0])

    assert jod(1.0) > 9.8
    assert jod(10.0) < jod(3.0) < jod(1.0)


def test_whatever_is_asked_for_the_bands_are_held(photo: np.ndarray) -> None:
    batch = batch_of(photo, [FACE, BESIDE], SEEN)
    bands = bands_of(batch)
    for asked in (1e3 * batch.noise(0).sign(), torch.full_like(batch.patches, 50.0)):
        held = batch.valid(asked)
        split, _ = pyramid.split(bands._contrast(held), contrast.LEVELS)
        ratios = [
            float((band.abs() / bound.clamp(min=1e-9))[bound > 0.05 * bound.amax()].quantile(0.9))
            for band, bound in zip(split[:-1], bands.bounds, strict=False)
        ]
        assert max(ratios[:3]) < 1.5, "the pyramid is overcomplete: a little runs over"
        assert max(ratios) < 4
        assert not bool(held.isnan().any())
    assert float(held[batch.luma_limits.expand_as(held) == 0].abs().max()) < 0.5, "nothing outside the face"


def test_what_is_inside_its_bounds_is_let_through(photo: np.ndarray) -> None:
    batch = batch_of(photo, [FACE], SEEN)
    wanted = bands_of(batch).pixels([0.3 * torch.ones_like(bound) for bound in bands_of(batch).bounds])
    assert float(wanted.abs().max()) > 1
    assert float((batch.valid(wanted) - wanted).abs().quantile(0.98)) < 0.3, "of a grey level; more at the border alone"


def test_more_visibility_is_more_change_in_proportion(photo: np.ndarray) -> None:
    open_ended = replace(SEEN, contrast=0.0)
    one, two = (bands_of(batch_of(photo, [FACE], replace(open_ended, visibility=each))) for each in (1.0, 2.0))
    for less, more in zip(one.bounds, two.bounds, strict=True):
        assert torch.allclose(2 * less, more, rtol=1e-4)


def test_light_is_bounded_by_what_the_photo_itself_has_there(photo: np.ndarray) -> None:
    """On smooth skin no line may be drawn, however visible a change may be; and colour is not bounded so."""
    smooth = photo.copy()
    left, top, right, bottom = (round(edge) for edge in FACE.box)
    smooth[top:bottom, left : (left + right) // 2] = (200, 150, 130)  # half of the face has nothing in it
    loud = replace(SEEN, visibility=20.0)
    held, free = (bands_of(batch_of(smooth, [FACE], replace(loud, contrast=each))) for each in (1.0, 0.0))
    patch = batch_of(smooth, [FACE], loud).patches
    plain = (patch - patch.new_tensor([200.0, 150.0, 130.0]).view(1, 3, 1, 1)).abs().amax(dim=1)[0] < 1
    inside = plain & (held.bounds[0][0, 1] > 0)
    inside &= torch.nn.functional.avg_pool2d(plain[None].float(), 15, 1, 7)[0] > 0.999  # away from the edge
    assert int(inside.sum()) > 100
    assert float(held.bounds[0][0, 0][inside].max()) < 1e-3 < float(free.bounds[0][0, 0][inside].min())
    assert torch.equal(held.bounds[0][0, 1:], free.bounds[0][0, 1:])
    once, twice = (bands_of(batch_of(photo, [FACE], replace(loud, contrast=each))).bounds for each in (0.1, 0.2))
    binds = twice[1][:, 0] < 0.99 * bands_of(batch_of(photo, [FACE], replace(loud, contrast=0.0))).bounds[1][:, 0]
    assert torch.allclose(2 * once[1][:, 0][binds], twice[1][:, 0][binds], rtol=1e-3)


def test_the_larger_a_photo_is_shown_the_less_its_face_may_change(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same face in a photo of four times the size is shown smaller on every display, so that more may change."""
    height, width = photo.shape[:2]
    wide = np.zeros((4 * height, 8 * width, 3), np.uint8)
    wide[:height, :width] = photo
    monkeypatch.setattr(contrast, "SHARES", ((1.0, 1.0, 1.0),) * 4)  # by sight alone
    small, large = (bands_of(batch_of(each, [FACE], replace(SEEN, contrast=0.0))) for each in (wide, photo))
    assert float(small.bounds[0].mean()) > 1.5 * float(large.bounds[0].mean())


def test_a_grey_photo_gets_a_grey_change(photo: np.ndarray) -> None:
    grey = np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    batch = batch_of(grey, [FACE], replace(SEEN, colour=0.0))
    change = batch.valid(20 * batch.noise(3))
    assert float(change.abs().max()) > 1
    assert torch.allclose(change[:, 0], change[:, 1], atol=1e-3)
    assert torch.allclose(change[:, 1], change[:, 2], atol=1e-3)


def test_the_host_spends_nothing_on_the_colour_of_a_grey_photo(photo: np.ndarray) -> None:
    grey = np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    for shown, coloured in ((grey, False), (photo, True)):
        (own,) = cut_faces([FaceInPhoto(shown, FACE, 7)])
        bands = bands_of(host._with_bounds(own, SEEN, "cpu"))
        assert bool(bands.bounds[0][:, :1].any())
        assert bool(bands.bounds[0][:, 1:].any()) == coloured


def test_teeth_and_grey_hair_take_less_colour_than_lips() -> None:
    patches = torch.full((1, 3, 64, 64), 128.0)
    patches[:, 0, :, 32:] += 80
    grey, red = contrast._colourfulness(patches)[0, 0, 32, [8, 56]].tolist()
    assert grey == pytest.approx(contrast.COLOURLESS)
    assert red > 2 * grey


def test_a_face_has_the_same_bands_alone_and_beside_others(photo: np.ndarray) -> None:
    alone, pair = batch_of(photo, [BESIDE], SEEN), batch_of(photo, [FACE, BESIDE], SEEN)
    put = together([batch_of(photo, [FACE], SEEN), alone])
    for one, two, three in zip(bands_of(alone).bounds, bands_of(pair).bounds, bands_of(put).bounds, strict=True):
        assert torch.allclose(one[0], two[1], rtol=1e-4, atol=1e-7)
        assert torch.equal(one[0], three[1])
    assert torch.equal(bands_of(pair.part(slice(1, 2))).bounds[0], bands_of(pair).bounds[0][1:])


def test_what_is_shared_bounds_each_band(photo: np.ndarray) -> None:
    batch = batch_of(photo, [FACE], SEEN)
    half = batch.bounded(torch.full_like(batch.luma_limits, 0.5))
    for less, whole in zip(bands_of(half).bounds, bands_of(batch).bounds, strict=True):
        assert torch.allclose(less, whole / 2, rtol=1e-4)


def test_every_display_is_asked() -> None:
    assert [display.name for display in DISPLAYS] == ["phone", "desktop", "desktop, twice as large"]


def test_a_tiny_face_has_less_light_and_a_middling_one_more_red_than_a_portrait() -> None:
    tiny, middling, portrait = contrast._shares(np.array([0.3, 1.2, 4.0]))
    assert tiny[0] < middling[0] < portrait[0] == 1.0
    assert middling[1] > tiny[1] > portrait[1] == 1.0
    between = contrast._shares(np.array([2.25]))[0]
    assert np.allclose(between, (middling + portrait) / 2), "no step from one size to the next"
