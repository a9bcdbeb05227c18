"""What each paper says of its steps, on losses so small that the answer can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from uncnn.plugins.api import Attack, Budget, Loss
from uncnn.plugins.attacks.fgsm import Fgsm
from uncnn.plugins.attacks.i_fgsm import IFgsm
from uncnn.plugins.attacks.i_fgvm import IFgvm
from uncnn.plugins.attacks.mi_fgsm import MiFgsm
from uncnn.plugins.attacks.p_fgvm import PFgvm
from uncnn.plugins.attacks.ti_dim import Placement, TiDim, draw_placement, gaussian_kernel, smoothed
from uncnn.plugins.attacks.veil import Veil
from uncnn.plugins.engine import host, steps
from uncnn.plugins.engine.batch import FaceBatch

SIDE = 24
BOUND = 4.0
ITERATED = [IFgsm(), IFgvm(), PFgvm(), MiFgsm(), TiDim(), Veil()]


@dataclass
class Given:
    """A loss whose gradients are given, one a step; it keeps what it was asked."""

    gradients: list[Tensor]
    asked: list[tuple[Tensor, int]] = field(default_factory=list)

    @property
    def targets(self) -> int:
        return 0

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        raise NotImplementedError

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        gradient = self.gradients[len(self.asked) % len(self.gradients)]
        self.asked.append((inputs, step))
        return gradient.expand_as(inputs)

    def toward(self, target: int) -> Loss:
        raise NotImplementedError

    def linked(self, inputs: Tensor) -> Tensor:
        raise NotImplementedError


def faces_of(number: int = 1) -> FaceBatch:
    """Return grey faces with a bound of 4 grey levels of luma, half of that in the left half, and 0 at the border."""
    limits = torch.full((number, 1, SIDE, SIDE), BOUND)
    limits[..., : SIDE // 2] = BOUND / 2
    limits[..., :2] = limits[..., -2:] = limits[..., :2, :] = limits[..., -2:, :] = 0
    points = np.zeros((number, 5, 2))
    patches = torch.full((number, 3, SIDE, SIDE), 128.0)
    seeds = list(range(number))
    return FaceBatch(
        patches, points, np.ones(number), limits, torch.zeros_like(limits), torch.zeros_like(limits), seeds
    )


def grey(seed: int) -> Tensor:
    """Return a gradient that is the same in each channel: the faces may not change in colour."""
    values = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return values.expand(1, 3, SIDE, SIDE) * 1e-3


def budget(number: int) -> Budget:
    return Budget(steps=number)


def test_fgsm_goes_once_to_the_bound_of_each_pixel() -> None:
    faces, loss = faces_of(), Given([grey(0)])
    sign = -faces.luma_limits * grey(0).sign()
    change = Fgsm(step_size=1.5).perturb(faces, loss, budget(40)).pixels
    assert torch.allclose(change, sign, atol=1e-4)
    assert len(loss.asked) == 1
    assert torch.equal(loss.asked[0][0], faces.patches + steps.start(faces))
    half = Fgsm(step_size=0.5).perturb(faces, Given([grey(0)]), budget(40)).pixels
    assert torch.allclose(half, sign / 2 + steps.start(faces), atol=1e-4)


def test_i_fgsm_steps_from_where_it_is_and_is_clipped_after_each_step() -> None:
    faces, loss = faces_of(), Given([grey(0), grey(0), grey(0), -grey(0)])
    change = IFgsm(step_size=2.0).perturb(faces, loss, budget(4)).pixels
    sign = -faces.luma_limits * grey(0).sign()
    shown = [(picture - faces.patches) for picture, _ in loss.asked]
    first = steps.start(faces) + 0.5 * sign
    expected = [steps.start(faces), first, faces.valid(first + 0.5 * sign), sign, 0.5 * sign]
    for found, reached in zip([*shown, change], expected, strict=True):
        assert torch.allclose(found, reached, atol=1e-4)


@pytest.mark.parametrize("attack", ITERATED, ids=lambda attack: type(attack).__name__)
def test_the_views_are_the_steps_own_or_the_clean_patch(attack: Attack) -> None:
    for views, expected in ((True, [1, 2, 3]), (False, [0, 0, 0])):
        loss = Given([grey(0)])
        replace(attack, views=views).perturb(faces_of(), loss, budget(3))  # type: ignore[type-var]
        assert [step for _, step in loss.asked] == expected


def test_a_value_step_is_proportional_to_the_gradient_and_as_long_as_that_along_the_sign() -> None:
    faces = faces_of(2)
    gradients = torch.cat([grey(0), 1000 * grey(1)])
    change = IFgvm(step_size=0.1).perturb(faces, Given([gradients]), budget(1)).pixels - steps.start(faces)
    signed = IFgsm(step_size=0.1).perturb(faces, Given([gradients]), budget(1)).pixels - steps.start(faces)
    inside = (faces.luma_limits > 0).expand_as(change)
    for face in range(2):
        found, gradient = change[face][inside[face]], gradients[face][inside[face]]
        told = gradient.abs() > 1e-2 * gradient.abs().max()  # of the others rounding takes a part
        ratio = (found / gradient)[told]
        assert float(ratio.max()) < 0
        assert torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-3)
        assert float(found.abs().sum()) == pytest.approx(float(signed[face].abs().sum()), rel=1e-4)
    assert not change[~inside].any()


def test_p_fgvm_without_realism_is_i_fgvm() -> None:
    gradients = [grey(0), grey(1), grey(2)]
    plain = IFgvm().perturb(faces_of(), Given(gradients), budget(6)).pixels
    free = PFgvm(realism=0).perturb(faces_of(), Given(gradients), budget(6)).pixels
    assert torch.allclose(free, plain)


@pytest.mark.parametrize(("evenness", "times"), [(1.0, 1.0), (0.5, 10.0), (0.0, 100.0)])
def test_veil_follows_a_long_gradient_no_further_than_it_is_told(evenness: float, times: float) -> None:
    slope = torch.ones(2, 3, 8, 8)
    slope[0, 0, 0, 0] = -100.0
    bound = torch.ones_like(slope)
    bound[:, :, 7] = 0
    direction = steps.even(slope, bound > 0, evenness)
    assert float(direction[0, 0, 0, 0] / direction[0, 0, 0, 1]) == pytest.approx(-times, rel=1e-4)
    assert direction[bound > 0].view(2, -1).abs().mean(dim=1).tolist() == pytest.approx([1.0, 1.0], rel=1e-4)
    assert not bool(direction[bound == 0].any())


def test_p_fgvm_comes_to_rest_where_the_pull_balances_the_gradient() -> None:
    faces, loss = faces_of(), Given([grey(0)])
    for realism in (10.0, 100.0):
        change = PFgvm(realism=realism, step_size=50).perturb(faces, loss, budget(40)).pixels
        assert torch.allclose(change, faces.valid(-steps.values(grey(0), faces) / realism), atol=1e-3)


def test_p_fgvm_takes_back_what_no_longer_helps() -> None:
    helps = [grey(0)] * 5 + [torch.zeros(1, 3, SIDE, SIDE)] * 15
    change = PFgvm(realism=4.0).perturb(faces_of(), Given(helps), budget(20)).pixels
    kept = PFgvm(realism=0.0).perturb(faces_of(), Given(helps), budget(20)).pixels
    assert float(change.abs().mean()) < 0.05 * float(kept.abs().mean())


def test_momentum_is_that_of_equation_6() -> None:
    faces = faces_of()
    gradients = [grey(0), 50 * grey(1), 0.02 * grey(2)]  # normalised, each counts as much
    decay, step_size = 0.7, 0.9
    momentum = torch.zeros(1, 3, SIDE, SIDE)
    pixels = steps.start(faces)
    for gradient in gradients:
        momentum = decay * momentum + gradient / torch.linalg.vector_norm(gradient, ord=1)
        pixels = faces.valid(pixels - step_size / 3 * faces.luma_limits * momentum.sign())
    change = MiFgsm(step_size=step_size, decay=decay).perturb(faces, Given(gradients), budget(3)).pixels
    assert torch.allclose(change, pixels, atol=1e-5)
    plain = IFgsm(step_size=step_size).perturb(faces, Given(gradients), budget(3)).pixels
    assert not torch.allclose(change, plain, atol=0.1)
    assert torch.allclose(
        MiFgsm(step_size=step_size, decay=0).perturb(faces, Given(gradients), budget(3)).pixels, plain
    )


def test_each_face_is_normalised_by_itself() -> None:
    gradients = torch.cat([grey(0), 1000 * grey(1)])
    unit = steps.unit(gradients)
    assert torch.allclose(unit.abs().sum(dim=(1, 2, 3)), torch.ones(2))
    together = MiFgsm().perturb(faces_of(2), Given([gradients, gradients.flip(0)]), budget(2)).pixels
    alone = MiFgsm().perturb(faces_of(1), Given([gradients[:1], gradients[1:]]), budget(2)).pixels
    assert torch.equal(together[:1], alone)


@pytest.mark.parametrize("attack", [Fgsm(), *ITERATED], ids=lambda attack: type(attack).__name__)
def test_a_face_that_no_surrogate_depends_on_is_left_where_it_starts(attack: Attack) -> None:
    faces = faces_of()
    change = attack.perturb(faces, Given([torch.zeros(1, 3, SIDE, SIDE)]), budget(3)).pixels
    assert bool((change.abs() <= steps.START * faces.luma_limits + 1e-6).all())


def test_the_start_is_drawn_from_each_faces_own_seed() -> None:
    assert torch.equal(steps.start(faces_of(2))[:1], steps.start(faces_of(1)))
    assert not torch.equal(*steps.start(faces_of(2)))


@pytest.mark.parametrize("length", [1, 3, 15, 99])
def test_the_kernel_sums_to_1_and_is_widest_in_the_middle(length: int) -> None:
    kernel = gaussian_kernel(length)
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(kernel, kernel.flip(0))
    assert int(kernel.argmax()) == length // 2
    if length == 15:  # from -3 to 3 standard deviations
        assert float(kernel[0] / kernel[7]) == pytest.approx(np.exp(-4.5), rel=1e-4)


def test_smoothing_is_a_convolution_of_each_channel() -> None:
    kernel = gaussian_kernel(5)
    point = torch.zeros(2, 3, SIDE, SIDE)
    point[1, 2, 10, 12] = 1
    found = smoothed(point, kernel)
    assert torch.allclose(found[1, 2, 8:13, 10:15], torch.outer(kernel, kernel))
    assert float(found.abs().sum()) == pytest.approx(1)
    assert not found[0].any()
    assert not found[1, :2].any()


def drawn(probability: float, smallest: float, number: int = 40) -> Placement:
    return draw_placement(faces_of(number), 3, probability, smallest)


def test_the_gradient_through_a_placement_is_autograds() -> None:
    placed = drawn(0.7, 0.6)
    pictures = torch.rand(40, 3, SIDE, SIDE, requires_grad=True)
    weights = torch.rand(40, 3, SIDE, SIDE)
    (expected,) = torch.autograd.grad((placed.show(pictures) * weights).sum(), pictures)
    assert torch.allclose(placed.back(weights), expected, atol=1e-5)


def test_a_placement_is_the_picture_resized_on_black() -> None:
    placed = drawn(1.0, 0.6)
    shown = placed.show(torch.full((40, 3, SIDE, SIDE), 100.0))[:, 0]
    sizes, places = set(), set()
    for picture in shown:
        rows, columns = torch.nonzero(picture.sum(dim=1)).flatten(), torch.nonzero(picture.sum(dim=0)).flatten()
        assert len(rows) == len(columns) >= round(0.6 * SIDE)
        assert torch.allclose(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], torch.tensor(100.0))
        sizes.add(len(rows))
        places.add((int(rows[0]), int(columns[0])))
    assert sizes == set(range(min(sizes), max(sizes) + 1))
    assert len(sizes) > 5
    assert len(places) > 20


def test_a_placement_is_drawn_with_the_probability_from_each_faces_own_seed() -> None:
    pictures = torch.rand(40, 3, SIDE, SIDE)
    moved = (drawn(0.7, 0.6).show(pictures) - pictures).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 0.5 < float(moved.float().mean()) < 0.9
    assert torch.allclose(drawn(0.0, 0.6).show(pictures), pictures, atol=1e-5)
    assert torch.equal(drawn(0.7, 0.6, number=3).rows, drawn(0.7, 0.6).rows[:3])
    assert not torch.equal(draw_placement(faces_of(40), 4, 0.7, 0.6).rows, drawn(0.7, 0.6).rows)


def test_ti_dim_without_kernel_and_diversity_is_mi_fgsm() -> None:
    gradients = [grey(0), grey(1), grey(2)]
    plain = MiFgsm().perturb(faces_of(), Given(gradients), budget(3)).pixels
    found = TiDim(kernel=1, probability=0).perturb(faces_of(), Given(gradients), budget(3)).pixels
    assert torch.equal(found, plain)
    for parameters in ({"kernel": 1, "probability": 1}, {"kernel": 5, "probability": 0}):
        other = TiDim(**parameters).perturb(faces_of(), Given(gradients), budget(3)).pixels  # type: ignore[arg-type]
        assert not torch.allclose(other, plain, atol=0.1)


def test_ti_dim_shows_the_face_that_it_has_changed_so_far_at_the_drawn_place() -> None:
    faces, loss = faces_of(), Given([grey(0)])
    TiDim(probability=1, kernel=1).perturb(faces, loss, budget(2))
    placed = [draw_placement(faces, step, 1, 0.906) for step in range(2)]
    assert torch.allclose(loss.asked[0][0], placed[0].show(faces.patches + steps.start(faces)))
    first = steps.start(faces) - 0.5 * faces.luma_limits * placed[0].back(grey(0)).sign()
    assert torch.allclose(loss.asked[1][0], placed[1].show(faces.patches + faces.valid(first)), atol=1e-3)


def test_what_attacks_return_is_no_more_than_the_budget() -> None:
    """The host would clamp it; an attack that knows its own bounds spends no step outside of them."""
    for attack in [Fgsm(step_size=9), *ITERATED]:
        faces = faces_of()
        change = attack.perturb(faces, Given([grey(0), grey(1)]), budget(5)).pixels
        assert torch.allclose(change, faces.valid(change), atol=1e-4)
        assert host.PATCH_PX != SIDE, "attacks take patches of any size"
