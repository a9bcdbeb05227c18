"""What attacks are after: a closed set, allowed targets and no others, decisions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portraits import BESIDE, BUDGET, FACE, batch_of

from uncnn.plugins.api import Loss
from uncnn.plugins.attacks.pgd import Pgd
from uncnn.plugins.engine import host
from uncnn.plugins.engine.joint import joint
from uncnn.plugins.engine.joint_frames import KeyFrameLoss
from uncnn.plugins.engine.loss import embeddings
from uncnn.plugins.engine.objectives import CrossEntropy, synthetic
from uncnn.plugins.engine.patches import PATCH_PX
from uncnn.plugins.engine.targets import SYNTHETIC, AttackTarget, Gallery, TargetError
from uncnn.plugins.geometry import Region
from uncnn.plugins.recognisers.torch_recogniser import Recogniser
from uncnn.plugins.registry import UnknownAttack, make_target


@pytest.fixture
def gallery(photo: np.ndarray, surrogates: list[Recogniser]) -> Gallery:
    """Return a closed set of the astronaut, somebody who consented, and somebody who did not."""
    own = embeddings(surrogates, batch_of(photo, [FACE]))[0][0].numpy()
    away = [synthetic(number, 0, len(own)).numpy() for number in (1, 2)]
    others = [0.9 * own + np.sqrt(1 - 0.9**2) * direction for direction in away]  # as alike as dlib finds strangers
    others = [other / np.linalg.norm(other) for other in others]
    known = {surrogates[0].card.sha256: np.stack([others[0], own, others[1]]).astype(np.float32)}
    return Gallery(("Ada", "Eileen", "Bob"), known, frozenset({"Ada"}))


def test_cross_entropy_is_torchs_over_scaled_cosines() -> None:
    units = torch.nn.functional.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    objective = CrossEntropy(torch.tensor([0, 1]), units[:3])
    expected = torch.nn.functional.cross_entropy(32 * units[3:] @ units[:3].T, torch.tensor([0, 1]), reduction="none")
    assert torch.allclose(objective.score(units[3:]), -expected)
    assert torch.allclose(objective.part(slice(1, 2)).score(units[4:]), -expected[1:])
    logits = torch.tensor([[2.0, 0.0]])
    head = CrossEntropy(torch.tensor([0]), None, sign=1.0)
    assert head.raw
    assert float(head.score(logits)) == pytest.approx(float(np.log(1 + np.exp(-2))))


def test_over_a_closed_set_a_face_leaves_its_own_identity(
    photo: np.ndarray,
    surrogates: list[Recogniser],
    gallery: Gallery,
) -> None:
    target = AttackTarget(objective="gallery", gallery=gallery)
    (patch,) = host.perturb(photo, [FACE], Pgd(), surrogates, BUDGET, seed=1, target=target)
    batch = batch_of(photo, [FACE])
    loss = target.loss(surrogates, batch)
    with torch.no_grad():
        before, after = float(loss(batch.patches, 0)), float(loss(batch.patches + torch.from_numpy(patch.change), 0))
    assert before > -0.1  # it is itself, for certain
    assert after < before - 0.01


def test_a_person_who_consented_may_be_a_target_and_nobody_else(
    photo: np.ndarray,
    surrogates: list[Recogniser],
    gallery: Gallery,
) -> None:
    batch = batch_of(photo, [FACE, BESIDE])
    for objective in ("embeddings", "gallery"):
        loss = AttackTarget("Ada", objective, gallery).loss(surrogates, batch)  # type: ignore[arg-type]
        assert loss.targets == 1
        with pytest.raises(TargetError, match="no record that this person consented"):
            AttackTarget("Bob", objective, gallery).loss(surrogates, batch)  # type: ignore[arg-type]
        with pytest.raises(TargetError, match="nobody else is ever a target"):
            AttackTarget("A stranger", objective, gallery).loss(surrogates, batch)  # type: ignore[arg-type]
    for target in ("synthetic", "crowd"):
        with pytest.raises(TargetError, match="not among the enrolled"):
            AttackTarget(target, "gallery", gallery).loss(surrogates, batch)
    with pytest.raises(TargetError, match="no one is enrolled"):
        AttackTarget(objective="gallery").loss(surrogates, batch)
    with pytest.raises(TargetError, match="came later: enroll them again"):
        AttackTarget(objective="gallery", gallery=Gallery(("Ada",))).loss(surrogates, batch)


def test_targets_are_nobody(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    batch = batch_of(photo, [FACE, BESIDE])
    loss = AttackTarget("synthetic").loss(surrogates, batch)
    assert loss.targets == SYNTHETIC
    directions = loss.candidates[0]
    alike = directions.flatten(0, 1) @ directions.flatten(0, 1).T - torch.eye(2 * SYNTHETIC)
    assert float(alike.abs().max()) < 0.6  # every face its own
    crowd = AttackTarget("crowd").loss(surrogates, batch)
    assert crowd.targets == 1
    with torch.no_grad():
        toward = crowd(batch.patches, 0)
    assert torch.allclose(toward, crowd.toward(0)(batch.patches, 0))


def test_parameters_of_the_target_are_checked() -> None:
    assert make_target({"steps": 3}, lambda: pytest.fail("nobody asked for people")) == AttackTarget()
    assert make_target({"target": "Ada"}, lambda: Gallery(("Ada",))).gallery.names == ("Ada",)
    with pytest.raises(UnknownAttack, match="choose embeddings or gallery"):
        make_target({"objective": "pixels"}, Gallery)
    with pytest.raises(UnknownAttack, match="target 3"):
        make_target({"target": 3}, Gallery)


def test_decisions_are_those_of_onnx_runtime(photo: np.ndarray, surrogates: list[Recogniser]) -> None:
    batch = batch_of(photo, [FACE, FACE])
    loss = AttackTarget().loss(surrogates, batch)
    scrambled = batch.patches.clone()
    scrambled[1] = scrambled[1].flip(1, 2)
    assert loss.linked(scrambled).tolist() == [True, False]


@pytest.mark.parametrize("kind", ["alone", "overlapping", "key frames"])
def test_asked_for_all_targets_at_once_a_loss_is_what_it_is_for_each(
    photo: np.ndarray, surrogates: list[Recogniser], kind: str
) -> None:
    faces = batch_of(photo, [FACE, BESIDE], BUDGET)
    loss: Loss = AttackTarget().loss(surrogates, faces)
    if kind == "overlapping":
        regions = [Region(100, 100, PATCH_PX), Region(180, 120, PATCH_PX)]
        loss = joint(loss, faces.patches, regions, [(0, 1), (1, 0)], [[], []])
    elif kind == "key frames":
        loss = KeyFrameLoss(faces, [faces, faces], [loss, loss], [[1.4, 1.2], [1.3, 1.0]])
    inputs = faces.patches + faces.noise(3)
    for step in (0, 5):
        singly = [loss, loss.toward(0), loss.toward(1)]
        with torch.no_grad():
            expected = [each(inputs, step) for each in singly]
            assert all(map(torch.equal, loss.losses(inputs, step, 2), expected))
        gradients = [each.gradient(inputs, step) for each in singly]
        assert all(map(torch.equal, loss.gradients(inputs, step, 2), gradients))
        assert not torch.equal(gradients[0], gradients[1])
