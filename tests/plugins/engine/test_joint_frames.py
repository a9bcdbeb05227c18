"""One change for several key frames: any attack makes it, the host holds it, and it counts in every frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from uncnn.plugins.api import Budget, Change, Faces, Loss, PluginError
from uncnn.plugins.engine.aligned import TEMPLATE
from uncnn.plugins.engine.joint_frames import KeyFrames, perturb_tracks
from uncnn.plugins.engine.patches import PATCH_PX
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import make_attack, make_budget

STEPS = 6


@pytest.fixture(scope="module")
def surrogate(recogniser_folder: Callable[[str], Path]) -> Recogniser:
    return load_recogniser(recogniser_folder("mobilefacenet-foamliu"), "cpu")


@pytest.fixture(scope="module")
def key_frames(faces_144: Callable[[int], np.ndarray]) -> KeyFrames:
    """Return pictures of one face that is lit and turned a little differently in each."""
    face = torch.from_numpy(faces_144(2)[0].astype(np.float32)).permute(2, 0, 1)[None]
    wide = torch.nn.functional.interpolate(face[..., 8:136, 8:136], (PATCH_PX, PATCH_PX), mode="bilinear")
    patches = torch.cat([(wide * light).clamp(0, 255).round() for light in (0.85, 1.0, 1.1, 0.95)])
    inside = torch.ones(4, 1, PATCH_PX, PATCH_PX)
    return KeyFrames(patches, inside, (1.4, 1.4, 1.3, 1.2), (720, 1280), seed=3)


def alike(surrogate: Recogniser, keys: KeyFrames, change: torch.Tensor) -> list[float]:
    points = np.repeat(TEMPLATE[None], len(keys.patches), axis=0)
    with torch.no_grad():
        clean = surrogate.embed(keys.patches, points)
        changed = surrogate.embed((keys.patches + change).clamp(0, 255), points)
    return [float(each) for each in (clean * changed).sum(dim=1)]


def test_one_change_takes_a_face_off_itself_in_every_key_frame(surrogate: Recogniser, key_frames: KeyFrames) -> None:
    budget = make_budget("strong", {})
    (change,) = perturb_tracks([key_frames], make_attack("veil", {}), [surrogate], budget, [STEPS])
    assert max(alike(surrogate, key_frames, change)) < 0.75
    assert float(change.abs().max()) <= 1.772 * budget.cap_255 * 2


def test_a_change_that_is_continued_goes_further(surrogate: Recogniser, key_frames: KeyFrames) -> None:
    budget, attack = make_budget("subtle", {}), make_attack("veil", {})
    (change,) = perturb_tracks([key_frames], attack, [surrogate], budget, [1])
    begun = KeyFrames(
        key_frames.patches, key_frames.inside, key_frames.scales, key_frames.size, key_frames.seed, change
    )
    (further,) = perturb_tracks([begun], attack, [surrogate], budget, [3])
    assert max(alike(surrogate, key_frames, further)) < min(alike(surrogate, key_frames, change))


@dataclass(frozen=True, slots=True)
class Overspend:
    """Asks for more than anything allows."""

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        assert loss.targets > 0
        assert loss(faces.patches, 1).shape == (1,)
        return Change(torch.full_like(faces.patches, 200.0))


@dataclass(frozen=True, slots=True)
class Broken:
    """Returns what is no change."""

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        return Change(faces.patches * np.nan)


def test_the_host_holds_the_budget_whatever_an_attack_returns(surrogate: Recogniser, key_frames: KeyFrames) -> None:
    budget = Budget(epsilon_255=3.0, chroma=0.0)
    (change,) = perturb_tracks([key_frames], Overspend(), [surrogate], budget, [1])
    assert 0 < float(change.abs().max()) <= 3.01
    with pytest.raises(PluginError, match="not finite"):
        perturb_tracks([key_frames], Broken(), [surrogate], budget, [1])
