"""The making of a mask: it takes a photo that it never saw off the recogniser, and depends on its inputs alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portraits import FACE

from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins import geometry
from uncnn.plugins.engine.aligned import face_in_frame
from uncnn.plugins.engine.mask_maker import Apart, make_mask, mirrored
from uncnn.plugins.recognisers.torch_recogniser import Recogniser, load_recogniser
from uncnn.plugins.registry import STRENGTHS

POINTS = np.array(FACE.landmarks, np.float64)
BUDGET = STRENGTHS["strong"]


@pytest.fixture(scope="module")
def small() -> list[Recogniser]:
    return [load_recogniser(EMBEDDED / "esp-mfn")]


def lit(photo: np.ndarray, by: float) -> np.ndarray:
    return np.clip(photo * by, 0, 255).astype(np.uint8)


@pytest.mark.slow
def test_a_photo_in_another_light_is_less_like_the_person(photo: np.ndarray, small: list[Recogniser]) -> None:
    told: list[tuple[int, int]] = []

    def note(done: int, of: int) -> None:
        told.append((done, of))

    pictures = [(photo, POINTS), (lit(photo, 0.8), POINTS)]
    mask = make_mask(pictures, small, BUDGET, 6, seed=1, on_step=note)
    assert told == [(number, 6) for number in range(1, 7)]
    assert mask.surrogates == (small[0].card.sha256,)
    faces = face_in_frame(lit(photo, 1.1), POINTS, BUDGET, 0, "cpu")
    with torch.no_grad():
        clean, masked = (
            small[0].embed(each, faces.points) for each in (faces.patches, faces.patches + mask.change(faces).pixels)
        )
    assert float((clean * masked).sum()) < 0.8
    again = make_mask(pictures, small, BUDGET, 6, seed=1)
    other = make_mask(pictures, small, BUDGET, 6, seed=2)
    assert all(np.array_equal(one, two) for one, two in zip(mask.heads, again.heads, strict=True))
    assert not np.array_equal(mask.heads[0], other.heads[0])


def test_a_face_lies_in_its_frame_wherever_it_is_in_the_picture(photo: np.ndarray) -> None:
    turned, points = mirrored(photo, POINTS)
    assert np.array_equal(turned[:, ::-1], photo)
    assert points[0][0] < points[1][0]  # the eye on the left of the picture is first there too
    faces = [face_in_frame(each, where, BUDGET, 0, "cpu") for each, where in ((photo, POINTS), (turned, points))]
    assert np.allclose(faces[0].points, faces[1].points)
    across = geometry.similarities(faces[0].points, geometry.ARCFACE_112)
    assert 1.5 < 1 / np.hypot(across[0, 0, 0], across[0, 1, 0]) < 2.0  # pixels to one of the template


def test_masked_faces_are_kept_from_the_photo_from_the_person_and_from_each_other() -> None:
    own = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2, 0.0], [1.0, -0.2, 0.0]]), dim=1)
    centre = torch.tensor([[1.0, 0.0, 0.0]]).expand(2, 3)
    objective = Apart(own, centre)
    as_they_are = objective.score(own)
    together = objective.score(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))
    apart = objective.score(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]))
    assert bool((as_they_are > together).all())
    assert bool((together > apart).all())
    assert torch.equal(objective.part(slice(1, 2)).own, own[1:])
