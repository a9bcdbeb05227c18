"""Faces and what is done to them, as bytes: they arrive as they were, and no lie about them passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from uncnn.daemon.remote.packing import (
    MOST_FACES,
    PackingError,
    pack_faces,
    pack_patches,
    unpack_faces,
    unpack_patches,
)
from uncnn.plugins.api import Budget, Face
from uncnn.plugins.engine.patches import PATCH_PX, CutFace, FaceInPhoto, Patch, cut_faces
from uncnn.plugins.registry import make_budget

FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
BESIDE = Face((227.0, 95.0, 306.0, 198.0), ((247, 130), (285, 128), (268, 155), (250, 172), (283, 171)), 0.9)
BUDGET = replace(make_budget("balanced", {}), flow=0.02)
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def faces() -> list[CutFace]:
    photo = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    two = cut_faces([FaceInPhoto(photo, FACE, 2**64 - 1, beside=(BESIDE,)), FaceInPhoto(photo, BESIDE, 3, grey=True)])
    done = np.random.default_rng(2).normal(size=(3, PATCH_PX, PATCH_PX)).astype(np.float32)
    return [replace(two[0], earlier=((done, two[1].region),)), two[1]]


@pytest.fixture(scope="module")
def patches(faces: list[CutFace]) -> list[Patch]:
    inside = np.zeros((1, PATCH_PX, PATCH_PX), np.float32)
    inside[:, 2:-2, 2:-2] = 1
    change = np.random.default_rng(3).uniform(-9, 9, (3, PATCH_PX, PATCH_PX)).astype(np.float32) * inside
    flow = np.zeros((2, PATCH_PX, PATCH_PX), np.float32)
    flow[:, 60:160, 60:160] = 0.3
    apart = [float(np.linalg.norm(np.subtract(*each.face.landmarks[:2]))) for each in faces]
    eyes = [px * PATCH_PX / each.region.side for px, each in zip(apart, faces, strict=True)]
    return [
        Patch(faces[0].region, change, 10 * inside, None, eyes[0]),
        Patch(faces[1].region, -change, 9 * inside, flow, eyes[1]),
    ]


def equal(one: object, other: object) -> bool:
    """Return whether two values of dataclasses, tuples and arrays are the same."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, CutFace | Patch):
        return all(equal(getattr(one, name), getattr(other, name)) for name in one.__slots__)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(equal, one, other))  # type: ignore[arg-type]
    return one == other


def test_faces_arrive_as_they_were(faces: list[CutFace]) -> None:
    assert equal(unpack_faces(pack_faces(faces)), faces)


def test_so_does_what_is_done_to_them(faces: list[CutFace], patches: list[Patch]) -> None:
    found = unpack_patches(pack_patches(patches), faces, BUDGET)
    assert equal([replace(each, eyes_px=0) for each in found], [replace(each, eyes_px=0) for each in patches])
    assert [each.eyes_px for each in found] == pytest.approx([each.eyes_px for each in patches])


@given(st.binary(max_size=300))
def test_bytes_that_are_none_are_refused(packed: bytes) -> None:
    with pytest.raises(PackingError):
        unpack_faces(packed)


def changed(packed: bytes, change: Callable[[Arrays], object]) -> bytes:
    arrays = {name: array.copy() for name, array in load(packed).items()}
    change(arrays)
    return bytes(save(arrays))


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("faces"),
        lambda arrays: arrays.pop("squares"),
        lambda arrays: arrays.update(squares=arrays["squares"][:1]),
        lambda arrays: arrays.update(squares=arrays["squares"].astype(np.float64)),
        lambda arrays: arrays["squares"].__setitem__((0, 0, 5, 5), np.nan),
        lambda arrays: arrays.update(earlier=arrays["earlier"][:0]),
        lambda arrays: arrays.update(faces=np.frombuffer(b"[]", np.uint8)),
        lambda arrays: arrays.update(faces=np.frombuffer(b"[" * 5000, np.uint8)),
        lambda arrays: arrays.update(
            faces=np.frombuffer(arrays["faces"].tobytes().replace(b'"side": 224', b'"side": -24'), np.uint8)
        ),
        lambda arrays: arrays.update(
            faces=np.frombuffer(arrays["faces"].tobytes().replace(b'"side": 224', b'"side": 9999999'), np.uint8)
        ),
    ],
)
def test_faces_that_are_not_sound_are_refused(faces: list[CutFace], change: Callable[[Arrays], object]) -> None:
    with pytest.raises(PackingError):
        unpack_faces(changed(pack_faces(faces), change))


def test_no_more_faces_than_a_batch_may_have(faces: list[CutFace]) -> None:
    small = replace(faces[1], earlier=())
    with pytest.raises(PackingError, match="can be sent at once"):
        unpack_faces(pack_faces((MOST_FACES + 1) * [small]))


def _set(name: str, place: tuple[int, ...], value: float) -> Callable[[Arrays], object]:
    return lambda arrays: arrays[name].__setitem__(place, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays: arrays.pop("changes"), "no array changes"),
        (lambda arrays: arrays.update(changes=arrays["changes"][:1]), "should be"),
        (lambda arrays: arrays.update(limits=arrays["limits"][:, 0]), "no array limits"),
        (lambda arrays: arrays.update(moved=arrays["moved"].astype(np.uint8)), "no array moved"),
        (_set("changes", (0, 0, 50, 50), np.inf), "not finite"),
        (_set("changes", (0, 0, 50, 50), 11.0), "beyond its bounds"),
        (_set("limits", (0, 0, 50, 50), 255.0), "bounds beyond"),
        (_set("limits", (0, 0, 50, 50), -1.0), "bounds beyond"),
        (_set("limits", (0, 0, 0, 50), 1.0), "at the border"),
        (_set("flows", (1, 0, 50, 50), 40.0), "a flow longer"),
        (_set("flows", (1, 1, 223, 50), 0.1), "at the border"),
    ],
)
def test_no_lie_about_a_face_passes(
    faces: list[CutFace], patches: list[Patch], change: Callable[[Arrays], object], words: str
) -> None:
    with pytest.raises(PackingError, match=words):
        unpack_patches(changed(pack_patches(patches), change), faces, BUDGET)


def test_a_flow_that_folds_is_refused(faces: list[CutFace], patches: list[Patch]) -> None:
    wide = replace(BUDGET, flow=1.0)
    with pytest.raises(PackingError, match="folds"):
        unpack_patches(changed(pack_patches(patches), _set("flows", (1, 0, 50, 50), 5.0)), faces, wide)


def test_a_budget_without_flow_takes_none(faces: list[CutFace], patches: list[Patch]) -> None:
    still: Budget = make_budget("balanced", {})
    with pytest.raises(PackingError, match="a flow longer"):
        unpack_patches(pack_patches(patches), faces, still)
