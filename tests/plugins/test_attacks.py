"""The contract of every registered attack, run on a real recogniser and a real face."""

from __future__ import annotations

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from portraits import BESIDE, BUDGET, FACE, batch_of

from uncnn.plugins.api import Budget, Change, Face, Faces, Loss, PluginError
from uncnn.plugins.attacks.pgd import Pgd
from uncnn.plugins.engine import host, rendering
from uncnn.plugins.engine import loss as loss_module
from uncnn.plugins.engine.loss import untargeted
from uncnn.plugins.engine.patches import PATCH_PX, FaceInPhoto, Patch
from uncnn.plugins.engine.targets import AttackTarget
from uncnn.plugins.geometry import region_of
from uncnn.plugins.parameters import parameters_of
from uncnn.plugins.perception.pixel_bounds import luma_of, rms_limits
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import STRENGTHS, UnknownAttack, attack_names, make_attack, make_budget
from uncnn.plugins.resampling import gaussian

FEW = replace(BUDGET, steps=3, flow=0.01)  # as many as it takes to see the face as it is, and twice otherwise
WHOLE_RANGE = 255


@dataclass(frozen=True)
class Once:
    """What an attack made of a batch: the face, the same face of a photo with another seed, and one beside it."""

    patch: Patch
    other_seed: Patch
    beside: Patch


class Exact(torch.nn.Module):
    """A network in double precision.

    The last bit of a sum depends on how many faces are summed at once, and steps make much of it where a gradient is
    small or JPEG rounds: what is asked here is whether faces see each other.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).double()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.network(pictures.double()).float()


def cloaked_together(name: str, photo: np.ndarray, surrogates: list[Recogniser]) -> Once:
    faces_in_photos = [
        FaceInPhoto(photo, FACE, 1),
        FaceInPhoto(photo, FACE, 2),
        FaceInPhoto(photo, BESIDE, 1),
    ]
    return Once(*host.perturb_all(faces_in_photos, make_attack(name, {}), surrogates, FEW))


@pytest.mark.slow
@pytest.mark.parametrize("name", attack_names())
def test_contract(name: str, photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    surrogates = [replace(surrogate, network=Exact(surrogate.network)) for surrogate in surrogates]
    once = cloaked_together(name, photo, surrogates)
    alone = host.perturb(photo, [BESIDE], make_attack(name, {}), surrogates, FEW, seed=1)
    again = host.perturb(photo, [BESIDE], make_attack(name, {}), surrogates, FEW, seed=1)
    assert np.array_equal(alone[0].change, again[0].change), "the same seed gives the same photo"
    assert not np.array_equal(once.patch.change, once.other_seed.change), "another seed gives another"
    same = np.abs(once.beside.change - alone[0].change) < 1e-4 * WHOLE_RANGE
    assert same.mean() > 0.999, "a batch is its faces one by one; gradients near zero may turn"
    still = np.zeros(1)
    flows = [still if patch.flow is None else patch.flow for patch in (once.beside, alone[0])]
    assert np.allclose(*flows, atol=1e-3)

    result, (norms,) = rendering.compose(photo, [once.patch])
    assert result.shape == photo.shape
    assert result.dtype == np.uint8
    outside = np.ones(photo.shape[:2], bool)
    outside[once.patch.region.clipped(*photo.shape[:2])] = False
    assert np.array_equal(result[outside], photo[outside]), "not one pixel outside the patch"
    change = result.astype(int) - rendering.moved(photo, [once.patch])
    assert 0 < norms.largest_255 == np.abs(change).max()
    assert norms.flow <= FEW.flow + 1e-6
    luma = np.abs(change @ np.array([0.299, 0.587, 0.114]))
    assert luma.max() <= FEW.cap_255 + 1, "the luma bound, to the rounding of three channels"
    assert np.isfinite(once.patch.change).all()
    before, after = (embedding(surrogates[0], pixels) for pixels in (photo, result))
    assert float(before @ after) < 0.995, "the recogniser sees less of the same person"


@pytest.mark.parametrize("name", attack_names())
def test_the_change_is_that_of_a_plain_dataclass_of_its_parameters(name: str) -> None:
    attack = make_attack(name, {})
    with pytest.raises((AttributeError, TypeError)):
        attack.anything = 1  # type: ignore[attr-defined]
    assert attack == make_attack(name, {each.name: each.default for each in parameters_of(attack)})


def embedding(recogniser: Recogniser, photo: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        patch = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float()
        return recogniser.embed(patch, np.array([FACE.landmarks]))[0]


@dataclass(frozen=True)
class Greedy:
    """An attack that wants more than it may."""

    value: float = 1e6

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        return Change(torch.full_like(faces.patches, self.value) * faces.noise(0).sign())


def test_the_host_holds_the_budget_whatever_the_attack_returns(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    batch = batch_of(photo, [FACE])
    patch = host.perturb(photo, [FACE], Greedy(), surrogates, BUDGET, seed=1)[0]
    change = torch.from_numpy(patch.change)[None]
    shown = batch.patches + change
    assert float(shown.min()) >= 0
    assert float(shown.max()) <= 255
    free = (batch.patches > 40) & (batch.patches < 215)  # where 0..255 does not cut the change
    free = free.all(dim=1, keepdim=True)
    luma = luma_of(change)
    assert bool((luma.abs()[free] <= batch.luma_limits[free] + 1e-3).all())
    for channel, weight in ((2, 1.772), (0, 1.402)):
        chroma = (change[:, channel : channel + 1] - luma).abs() / weight
        assert bool((chroma[free] <= batch.chroma_limits[free] + 1e-3).all())
    result, _ = rendering.compose(photo, [patch])
    bound = float(patch.limits.max())
    assert np.abs(result.astype(int) - photo).max() <= bound + 1


def test_the_host_holds_the_local_root_mean_square_too(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    tight = replace(BUDGET, rms=0.5)
    (patch,) = host.perturb(photo, [FACE], Greedy(), surrogates, tight, seed=1)
    (free,) = host.perturb(photo, [FACE], Greedy(), surrogates, BUDGET, seed=1)
    bound = rms_limits(batch_of(photo, [FACE], tight).luma_limits, tight)
    blur = gaussian(patch.change.shape[2], torch.tensor([2.0]))[0]
    local, at_most = (
        (blur @ luma_of(torch.from_numpy(each.change)[None]) ** 2 @ blur.T).sqrt() for each in (patch, free)
    )
    assert bound is not None
    face = bound > 0.6 * bound.max()  # at its border the bound itself falls to 0
    assert bool((local <= 1.15 * bound)[face].all())
    assert bool((at_most > 1.5 * bound)[face].any()), "Greedy wants more"


@dataclass(frozen=True)
class Meddler:
    """An attack that writes into what it is shown."""

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        faces.patches.zero_()
        faces.luma_limits.fill_(255)
        faces.chroma_limits.fill_(255)  # type: ignore[attr-defined]
        return Change(torch.full_like(faces.patches, 255))


def test_an_attack_that_writes_into_its_input_moves_no_bound(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    (patch,) = host.perturb(photo, [FACE], Meddler(), surrogates, BUDGET, seed=1)
    (honest,) = host.perturb(photo, [FACE], Greedy(), surrogates, BUDGET, seed=1)
    assert np.array_equal(patch.limits, honest.limits)
    result, _ = rendering.compose(photo, [patch])
    assert np.abs(result.astype(int) - photo).max() <= float(honest.limits.max()) + 1


@dataclass(frozen=True)
class Broken:
    """An attack that returns what it must not."""

    kind: str

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        if self.kind == "type":
            return faces.patches  # type: ignore[return-value]
        if self.kind == "shape":
            return Change(faces.patches[:, :, :10])
        return Change(faces.patches * float("nan"))


@pytest.mark.parametrize(("kind", "words"), [("type", "Change"), ("shape", "shape"), ("nan", "not finite")])
def test_a_broken_attack_fails_the_photo(
    kind: str, words: str, photo: np.ndarray, surrogates: list[Recogniser]
) -> None:
    with pytest.raises(PluginError, match=words):
        host.perturb(photo, [FACE], Broken(kind), surrogates, BUDGET, seed=1)


def test_overlapping_faces_stay_inside_the_wider_bound(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    patches = host.perturb(photo, [FACE, BESIDE], Greedy(), surrogates, BUDGET, seed=1)
    result, _ = rendering.compose(photo, patches)
    bound = max(float(patch.limits.max()) for patch in patches)
    assert np.abs(result.astype(int) - photo).max() <= bound + 1


def test_a_grey_photo_gets_a_grey_change(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    grey = np.repeat(photo.mean(axis=2).astype(np.uint8)[..., None], 3, axis=2)
    result, (norms,) = rendering.compose(grey, host.perturb(grey, [FACE], Pgd(), surrogates, BUDGET, 1, grey=True))
    assert norms.largest_255 > 0
    assert int(np.ptp(result, axis=2).max()) == 0


def test_a_large_face_is_changed_on_the_photo_s_own_pixels(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    large = np.asarray(photo).repeat(4, axis=0).repeat(4, axis=1)
    points = tuple((4 * x + 1.5, 4 * y + 1.5) for x, y in FACE.landmarks)
    face = Face(tuple(4 * value for value in FACE.box), points, 0.9)  # type: ignore[arg-type]
    (patch,) = host.perturb(large, [face], Pgd(), surrogates, BUDGET, seed=1)
    result, _ = rendering.compose(large, [patch])
    assert patch.region.side > PATCH_PX
    change = np.abs(result.astype(int) - large)
    assert change.max() > 0
    rows, columns = patch.region.clipped(*large.shape[:2])
    assert change[rows.start, columns].max() == 0, "the change fades out before the patch ends"


@pytest.mark.parametrize("name", ["fgsm", "i-fgsm", "i-fgvm", "mi-fgsm", "p-fgvm", "pgd", "ti-dim"])
def test_a_targeted_attack_moves_toward_an_identity_that_nobody_has(
    name: str, photo: np.ndarray, surrogates: list[Recogniser]
) -> None:
    target = AttackTarget("synthetic")
    (patch,) = host.perturb(photo, [FACE], make_attack(name, {}), surrogates, FEW, seed=3, target=target)
    batch = batch_of(photo, [FACE], seed=3)
    loss = target.loss(surrogates, batch)
    with torch.no_grad():
        assert float(loss(batch.patches + torch.from_numpy(patch.change), 0)) < float(loss(batch.patches, 0)) - 0.01


def test_more_restarts_are_never_worse(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    batch = batch_of(photo, [FACE])
    loss = untargeted(surrogates, batch)
    budget = replace(BUDGET, steps=3)
    with torch.no_grad():
        once = float(loss(batch.patches + Pgd().perturb(batch, loss, budget).pixels, 0))
        thrice = float(loss(batch.patches + Pgd(restarts=3).perturb(batch, loss, budget).pixels, 0))
    assert thrice <= once + 1e-6


def test_gradient_is_that_of_the_loss(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    """Chunks and one surrogate after another are only a way to save memory."""
    batch = batch_of(photo, [FACE, BESIDE])
    loss = untargeted([*surrogates, *surrogates], batch)
    shown = (batch.patches + batch.noise(3) * batch.luma_limits).requires_grad_()
    (expected,) = torch.autograd.grad(loss(shown, 0).sum(), shown)
    found = loss.gradient(shown.detach(), 0)
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_slowest_surrogate_begins_first_which_changes_no_bit(
    photo: np.ndarray, surrogates: list[Recogniser], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, score, begun = batch_of(photo, [FACE]), loss_module._scores, list[int]()
    several = [replace(surrogates[0], std=surrogates[0].std * share) for share in (1.0, 1.3, 0.7)]
    loss = loss_module.untargeted(several, batch)
    shown = batch.patches + batch.noise(3) * batch.luma_limits
    expected = loss.gradient(shown, 0)
    assert set(loss.seconds) == {0, 1, 2}
    assert min(loss.seconds.values()) > 0
    loss.seconds.update({0: 1.0, 1: 3.0, 2: 2.0})

    def noted(surrogate: Recogniser, *more: Any) -> list[torch.Tensor]:
        begun.append([each is surrogate for each in several].index(True))
        return score(surrogate, *more)

    monkeypatch.setattr(loss_module, "_scores", noted)
    monkeypatch.setattr(loss_module, "cores", lambda: ThreadPoolExecutor(1, initializer=loss_module._one_core))
    assert torch.equal(loss.gradient(shown, 0), expected)
    assert begun == [1, 2, 0]


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("pgd", {"step_size": -1}, "step_size -1: give a number above 0"),
        ("pgd", {"restarts": 0}, "restarts 0: give a whole number, 1 or more"),
        ("pgd", {"restarts": 1.5}, "restarts 1.5: give a whole number"),
        ("fgsm", {"step_size": "far"}, "step_size 'far': give a number above 0"),
        ("fgsm", {"step_size": float("inf")}, "step_size inf: give a number"),
        ("i-fgsm", {"views": 1}, "views 1: give true or false"),
        ("i-fgvm", {"step_size": True}, "step_size True: give a number"),
        ("p-fgvm", {"realism": -0.1}, "realism -0.1: give a number, 0 or more"),
        ("mi-fgsm", {"decay": float("nan")}, "decay nan: give a number, 0 or more"),
        ("ti-dim", {"probability": 1.1}, "probability 1.1: give a number from 0 to 1"),
        ("ti-dim", {"kernel": 4}, "kernel 4: give an odd number"),
        ("ti-dim", {"smallest": 0.1}, "smallest 0.1: give a number from 0.5 to 1"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(name: str, parameters: dict[str, object], words: str) -> None:
    with pytest.raises(UnknownAttack, match=re.escape(words)):
        make_attack(name, parameters)


def test_registry_names_what_there_is() -> None:
    with pytest.raises(UnknownAttack, match=r"choose one of .*pgd"):
        make_attack("pdg", {})
    with pytest.raises(UnknownAttack, match="restarts"):
        make_attack("pgd", {"restart": 2})
    with pytest.raises(UnknownAttack, match="subtle, balanced, strong, utmost"):
        make_budget("brutal", {})
    with pytest.raises(UnknownAttack, match="whole number"):
        make_budget("strong", {"steps": 0.5})
    assert make_budget("strong", {"steps": 9, "restarts": 2}) == replace(STRENGTHS["strong"], steps=9)


def test_every_recogniser_sees_a_patch_of_the_photo_itself(photo: np.ndarray) -> None:
    batch = batch_of(photo, [FACE])
    region = region_of(np.array(FACE.landmarks), PATCH_PX)
    assert region.side == PATCH_PX
    rows, columns = region.clipped(*photo.shape[:2])
    top, left = rows.start - region.top, columns.start - region.left
    piece = batch.patches[0].permute(1, 2, 0).numpy()[top:, left:][: rows.stop - rows.start, : columns.stop]
    assert np.array_equal(piece[:, : columns.stop - columns.start], photo[rows, columns])
    assert batch.landmarks.shape == (1, 5, 2)
