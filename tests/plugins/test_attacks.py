"""The contract of every registered attack, run on a real recogniser and a real face."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from uncnn.exporters.formats.dlib import ensure_dlib
from uncnn.plugins import host, objective
from uncnn.plugins.aim import Aim
from uncnn.plugins.api import Budget, Change, Face, Faces, Loss, PluginError
from uncnn.plugins.attacks.pgd import Pgd
from uncnn.plugins.batch import PATCH_PX, FaceBatch, cut
from uncnn.plugins.geometry import region_of
from uncnn.plugins.perception import luma_of
from uncnn.plugins.recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import STRENGTHS, UnknownAttack, attack_names, make_attack, make_budget

FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
BESIDE = Face((227.0, 95.0, 306.0, 198.0), ((247, 130), (285, 128), (268, 155), (250, 172), (283, 171)), 0.9)
BUDGET = Budget(steps=6, epsilon_255=3.0, texture=0.3, cap_255=10.0)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    skimage = pytest.importorskip("skimage")
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def surrogates(tmp_path_factory: pytest.TempPathFactory) -> list[Recogniser]:
    """dlib's recogniser: always there, and enough to hold an attack to its contract."""
    return [load_recogniser(ensure_dlib(tmp_path_factory.mktemp("models")))]


def batch_of(photo: np.ndarray, faces: list[Face], budget: Budget = BUDGET) -> FaceBatch:
    return cut(photo, faces, [region_of(np.array(face.landmarks), PATCH_PX) for face in faces], budget, 7, "cpu")


@pytest.mark.parametrize("name", attack_names())
def test_contract(name: str, photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    attack = make_attack(name, {})
    patches = host.perturb(photo, [FACE], attack, surrogates, BUDGET, seed=1)
    result, (spent,) = host.compose(photo, patches)
    again, _ = host.compose(photo, host.perturb(photo, [FACE], attack, surrogates, BUDGET, seed=1))
    other, _ = host.compose(photo, host.perturb(photo, [FACE], attack, surrogates, BUDGET, seed=2))
    assert result.shape == photo.shape
    assert result.dtype == np.uint8
    assert np.array_equal(result, again), "the same seed gives the same photo"
    assert not np.array_equal(result, other), "another seed gives another"
    change = result.astype(int) - photo
    region = patches[0].region
    outside = np.ones(photo.shape[:2], bool)
    outside[region.clipped(*photo.shape[:2])] = False
    assert not change[outside].any(), "not one pixel outside the patch"
    assert 0 < spent.largest_255 == np.abs(change).max()
    luma = np.abs(change @ np.array([0.299, 0.587, 0.114]))
    assert luma.max() <= BUDGET.cap_255 + 1, "the luma bound, to the rounding of three channels"
    before, after = (embedding(surrogates[0], pixels) for pixels in (photo, result))
    assert float(before @ after) < 0.995, "the recogniser sees less of the same person"


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
    change = patch.change[None]
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
    result, _ = host.compose(photo, [patch])
    bound = float(patch.limits.max())
    assert np.abs(result.astype(int) - photo).max() <= bound + 1


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
    assert torch.equal(patch.limits, honest.limits)
    result, _ = host.compose(photo, [patch])
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


def test_a_batch_is_its_faces_one_by_one(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    together = host.perturb(photo, [FACE, BESIDE], Pgd(), surrogates, replace(BUDGET, steps=2), seed=1)
    alone = host.perturb(photo, [BESIDE], Pgd(), surrogates, replace(BUDGET, steps=2), seed=1)
    same = (together[1].change - alone[0].change).abs() < 1e-3
    assert float(same.float().mean()) > 0.999  # the sign of a gradient near zero may turn


def test_overlapping_faces_stay_inside_the_wider_bound(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    patches = host.perturb(photo, [FACE, BESIDE], Greedy(), surrogates, BUDGET, seed=1)
    result, _ = host.compose(photo, patches)
    bound = max(float(patch.limits.max()) for patch in patches)
    assert np.abs(result.astype(int) - photo).max() <= bound + 1


def test_a_grey_photo_gets_a_grey_change(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    grey = np.repeat(photo.mean(axis=2).astype(np.uint8)[..., None], 3, axis=2)
    result, (spent,) = host.compose(grey, host.perturb(grey, [FACE], Pgd(), surrogates, BUDGET, 1, grey=True))
    assert spent.largest_255 > 0
    assert int(np.ptp(result, axis=2).max()) == 0


def test_a_large_face_is_changed_on_the_photo_s_own_pixels(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    large = np.asarray(photo).repeat(4, axis=0).repeat(4, axis=1)
    points = tuple((4 * x + 1.5, 4 * y + 1.5) for x, y in FACE.landmarks)
    face = Face(tuple(4 * value for value in FACE.box), points, 0.9)  # type: ignore[arg-type]
    (patch,) = host.perturb(large, [face], Pgd(), surrogates, BUDGET, seed=1)
    result, _ = host.compose(large, [patch])
    assert patch.region.side > PATCH_PX
    change = np.abs(result.astype(int) - large)
    assert change.max() > 0
    rows, columns = patch.region.clipped(*large.shape[:2])
    assert change[rows.start, columns].max() == 0, "the change fades out before the patch ends"


def test_targeted_pgd_moves_toward_an_identity_that_nobody_has(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    aim = Aim("synthetic")
    (patch,) = host.perturb(photo, [FACE], Pgd(), surrogates, replace(BUDGET, steps=12), seed=3, aim=aim)
    batch = batch_of(photo, [FACE])
    loss = aim.loss(surrogates, batch, [3])
    with torch.no_grad():
        assert float(loss(batch.patches + patch.change, 0)) < float(loss(batch.patches, 0)) - 0.01


def test_more_restarts_are_never_worse(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    batch = batch_of(photo, [FACE])
    loss = objective.away(surrogates, batch)
    budget = replace(BUDGET, steps=3)
    with torch.no_grad():
        once = float(loss(batch.patches + Pgd().perturb(batch, loss, budget).pixels, 0))
        thrice = float(loss(batch.patches + Pgd(restarts=3).perturb(batch, loss, budget).pixels, 0))
    assert thrice <= once + 1e-6


def test_gradient_is_that_of_the_loss(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    """Chunks and one surrogate after another are only a way to save memory."""
    batch = batch_of(photo, [FACE, BESIDE])
    loss = objective.away([*surrogates, *surrogates], batch)
    shown = (batch.patches + batch.noise(3) * batch.luma_limits).requires_grad_()
    (expected,) = torch.autograd.grad(loss(shown, 0).sum(), shown)
    found = loss.gradient(shown.detach(), 0)
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"step_size": -1}, "above 0"), ({"restarts": 0}, "1 or more")],
)
def test_pgd_refuses_parameters_that_mean_nothing(parameters: dict[str, object], words: str) -> None:
    with pytest.raises(UnknownAttack, match=words):
        make_attack("pgd", parameters)


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
