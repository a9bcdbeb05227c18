"""The photo that is worked on: which faces are seen with what was done to those beside them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from uncnn.daemon.photos import decode
from uncnn.daemon.protect.working_photo import WorkingPhoto
from uncnn.plugins.api import Face
from uncnn.plugins.engine.patches import Patch
from uncnn.plugins.geometry import Region, neighbours


def face(left: float) -> Face:
    points = ((left + 15, 20), (left + 35, 20), (left + 25, 32), (left + 17, 45), (left + 33, 45))
    return Face((left, 0, left + 50, 60), points, 0.9)


def patch(level: float) -> Patch:
    return Patch(Region(0, 0, 4), np.full((3, 4, 4), level, np.float32), np.ones((1, 4, 4), np.float32))


def test_a_face_is_seen_with_the_last_change_of_those_beside_it_that_are_not_at_work() -> None:
    one, two, three, far = range(4)
    faces = [face(0), face(40), face(80), face(900)]
    near = neighbours(faces)
    assert near[two] == (one, three)
    buffer = io.BytesIO()
    Image.new("L", (1000, 100)).save(buffer, "PNG")
    working = WorkingPhoto.of("0123456789abcdef" * 4, decode(buffer.getvalue(), "photo.png"), faces)
    for own, strength, level in (
        (one, "balanced", 1.0),
        (far, "balanced", 2.0),
        (three, "balanced", 3.0),
        (one, "strong", 4.0),
    ):
        working.patches[own, strength, near[own]] = patch(level)
    face_in_photo = working.face_in_photo((two, "balanced", near[two]), at_work={two, three})
    assert [float(earlier.change[0, 0, 0]) for earlier in face_in_photo.earlier] == [4.0]
    assert (face_in_photo.face, face_in_photo.beside, face_in_photo.grey) == (
        faces[two],
        (faces[one], faces[three]),
        True,
    )
    assert face_in_photo.seed == working.seed
    assert working.face_in_photo((far, "strong", ()), at_work=set()).earlier == ()


def test_what_was_done_to_a_number_that_is_another_face_now_is_forgotten() -> None:
    buffer = io.BytesIO()
    Image.new("L", (1000, 100)).save(buffer, "PNG")
    working = WorkingPhoto.of("0123456789abcdef" * 4, decode(buffer.getvalue(), "photo.png"), [face(0)])
    working.number([face(0), face(40), face(900)])
    for key in ((0, "balanced", (1,)), (0, "balanced", ()), (1, "balanced", (0,)), (2, "balanced", ())):
        working.patches[key] = patch(1.0)
    working.number([face(0), face(41), face(900)])
    assert set(working.patches) == {(0, "balanced", ()), (2, "balanced", ())}
    working.number([face(0)])
    assert set(working.patches) == {(0, "balanced", ())}
    assert working.faces == (face(0),), "what was found in it stays"
