"""Faces at any in-plane angle: points come back to where they were, and the looks outvote one that misreads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from portraits import BUDGET, FACE

from uncnn.exporters.registry.store import EMBEDDED, OWN_DETECTOR
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors import turned
from uncnn.plugins.detectors.retinaface_network import load_torch
from uncnn.plugins.detectors.turned import AROUND, GLANCE_TURNS, SAME_READING, TURNS, Glance, Reading, Turned, looking
from uncnn.plugins.engine.batch import bounded
from uncnn.plugins.engine.patches import PATCH_PX, FaceInPhoto, cut_faces
from uncnn.plugins.geometry import ARCFACE_112, similarities
from uncnn.plugins.recognisers.onnx_recogniser import crop

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])
MIDDLES = np.array([[60.0, 50.0], [90.0, 50.0], [75.0, 68.0], [63.0, 84.0], [87.0, 84.0]])


class Dots:
    """Finds five dots by their colours, and is the surer the more upright they are; so steep, it sees nothing."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def detect(self, photo: Pixels) -> list[Face]:
        self.sizes.append(photo.shape[:2])
        points = []
        for colour in COLOURS:
            rows, columns = np.nonzero((np.abs(photo.astype(int) - colour) < 100).all(axis=2))
            points.append((float(columns.mean()), float(rows.mean())))
        across, down = np.subtract(points[1], points[0])
        score = 0.5 + 0.49 * np.cos(np.arctan2(down, across))
        low, high = np.min(points, axis=0), np.max(points, axis=0)
        return [Face((*low, *high), tuple(points), score)] if score > 0.7 else []


def dotted(height: int, width: int) -> Pixels:
    photo = np.full((height, width, 3), 128, np.uint8)
    for (x, y), colour in zip(MIDDLES.astype(int), COLOURS, strict=True):
        photo[y - 4 : y + 5, x - 4 : x + 5] = colour
    return photo


def quarter(photo: Pixels, times: int) -> tuple[Pixels, np.ndarray]:
    """Return a photo of the dots, turned, and where their middles are in it."""
    points, (height, width) = MIDDLES, photo.shape[:2]
    for _ in range(times):
        points = np.stack([points[:, 1], width - 1 - points[:, 0]], axis=1)
        height, width = width, height
    return np.rot90(photo, times), points


@pytest.mark.parametrize("times", range(4))
def test_points_come_back_to_the_photo_from_every_look(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, middles = quarter(dotted(160, 240), times)
    for most in (12_000_000, 20_000):  # the second: what is turned is made smaller first
        monkeypatch.setattr(turned, "TURNED_PIXELS", most)
        (face,) = Turned(Dots()).detect(photo)
        assert np.abs(np.array(face.landmarks) - middles).max() < 0.7
        assert face.box == pytest.approx((*middles.min(axis=0), *middles.max(axis=0)), abs=1)


def test_a_large_photo_is_turned_at_the_size_that_is_searched_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turned, "TURNED_PIXELS", 20_000)
    dots = Dots()
    Turned(dots).detect(dotted(160, 240))
    assert dots.sizes[0] == (160, 240)
    assert len(dots.sizes) == len(TURNS)
    assert max(height * width for height, width in dots.sizes[1:]) < 2.2 * 20_000


class Scripted:
    """Says of each look what it is told to: the turn comes from the order."""

    def __init__(self, looks: dict[int, list[Face]]) -> None:
        self.looks = iter([looks.get(turn, []) for turn in TURNS])

    def detect(self, photo: Pixels) -> list[Face]:
        return next(self.looks)


SIDE = 150  # of a square photo, whose middle is that of the dots, near enough


def face_of(points: np.ndarray, score: float) -> Face:
    low, high = points.min(axis=0) - 15, points.max(axis=0) + 15
    return Face((*low, *high), tuple(map(tuple, points)), score)


def as_seen(points: np.ndarray, turn: int) -> np.ndarray:
    """Return where points of the square photo are once it was turned by a right angle or two."""
    for _ in range(turn // 90):
        points = np.stack([points[:, 1], SIDE - 1 - points[:, 0]], axis=1)
    return points


def test_readings_that_agree_outvote_a_surer_one_that_is_alone() -> None:
    """A face on its head: look 0 is sure that it is upright, two others see how it is, and one sees it best."""
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    true = 150 - MIDDLES + (0, -15)
    wrong = face_of(true[[4, 3, 2, 1, 0]], 0.9)
    best = face_of(as_seen(true, 180), 0.85)
    looks = {0: [wrong], 180: [best], 90: [face_of(as_seen(true, 90), 0.8)]}
    (face,) = Turned(Scripted(looks)).detect(photo)
    assert np.abs(np.array(face.landmarks) - true).max() < 1e-6
    assert face.score == 0.85, "as it was read where it is upright"
    del looks[180], looks[90]
    (face,) = Turned(Scripted(looks)).detect(photo)
    assert face == wrong, "alone, there is nothing to say against it"


def test_a_face_that_is_not_seen_upright_needs_two_looks() -> None:
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    true = 150 - MIDDLES + (0, -15)
    looks = {180: [face_of(as_seen(true, 180), 0.95)]}
    assert Turned(Scripted(looks)).detect(photo) == []
    looks[90] = [face_of(as_seen(true, 90), 0.6)]
    assert [face.score for face in Turned(Scripted(looks)).detect(photo)] == [0.95]


def test_what_lies_beside_the_photo_is_no_face() -> None:
    beyond = Face((0, 0, 20, 20), ((5, 5), (15, 5), (10, 10), (6, 15), (14, 15)), 0.9)
    assert Turned(Scripted({45: [beyond]})).detect(np.zeros((200, 200, 3), np.uint8)) == []


def test_only_a_policy_that_asks_gets_it() -> None:
    dots = Dots()
    assert looking(dots, False) is dots
    assert isinstance(looking(dots, True), Turned)


class Counting:
    """Sees what it is told to in the photo as it stands, and in the small copy at each turn; counts its looks."""

    def __init__(self, upright: list[Face], turned: dict[int, list[Face]]) -> None:
        self.upright, self.turned = upright, [turned.get(turn, []) for turn in GLANCE_TURNS]
        self.looks = 0

    def detect(self, photo: Pixels) -> list[Face]:
        self.looks += 1
        return self.upright if self.looks == 1 else self.turned[self.looks - 2] if self.looks <= 4 else []


TRUE = 150 - MIDDLES + (0, -15)  # of a face on its head


@pytest.mark.parametrize(
    ("upright", "turned", "looks"),
    [
        ([], {}, 4),  # nothing is seen at all: the glance is all that it costs
        ([face_of(MIDDLES, 0.9)], {}, 4),
        ([face_of(MIDDLES, 0.9)], {90: [face_of(as_seen(MIDDLES, 90), 0.95)]}, 4),  # read in the same way
        ([face_of(MIDDLES, 0.9)], {180: [face_of(as_seen(MIDDLES[[4, 3, 2, 1, 0]], 180), 0.6)]}, 4),  # hardly
        ([], {180: [face_of(as_seen(TRUE, 180), 0.6)]}, 4 + 7),  # only when it stands on its head
        ([face_of(TRUE[[4, 3, 2, 1, 0]], 0.9)], {180: [face_of(as_seen(TRUE, 180), 0.95)]}, 4 + 7),  # read otherwise
        (
            [face_of(TRUE[[4, 3, 2, 1, 0]], 0.9)],
            {180: [face_of(as_seen(TRUE, 180), 0.85)], 90: [face_of(as_seen(TRUE, 90), 0.8)]},
            4 + 7,
        ),  # by two that are less sure
    ],
)
def test_a_glance_decides_whether_the_photo_is_turned(
    upright: list[Face], turned: dict[int, list[Face]], looks: int
) -> None:
    detector = Counting(upright, turned)
    looking(detector, "auto").detect(np.zeros((SIDE, SIDE, 3), np.uint8))
    assert detector.looks == looks


def test_a_glance_says_where_the_disputed_face_is() -> None:
    detector = Counting([], {180: [face_of(as_seen(TRUE, 180), 0.6)]})
    detector.looks = 1
    (face,) = Glance(detector).disputes(np.zeros((SIDE, SIDE, 3), np.uint8), [])
    assert np.abs(np.array(face.landmarks) - TRUE).max() < 1e-6


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_real_face_on_its_side_is_found_by_a_glance(photo: Pixels, turns: int) -> None:
    detector = load_torch(EMBEDDED / OWN_DETECTOR)
    lying = np.ascontiguousarray(np.rot90(photo, turns))
    found = Glance.of(detector).disputes(lying, [])
    assert [round(Reading(face, 0).tilt / 90) for face in found] == [2 if turns == 2 else 1]


def about(photo: Pixels, angle: int) -> tuple[Pixels, np.ndarray]:
    """Return the photo turned by an angle, and where the landmarks of its face are in it."""
    image = Image.fromarray(photo)
    after = image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=AROUND)
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    before, middle = np.array(image.size) / 2 - 0.5, np.array(after.size) / 2 - 0.5
    points = (np.array(FACE.landmarks) - before) @ np.array([[cosine, -sine], [sine, cosine]]) + middle
    return np.asarray(after), points


@pytest.mark.parametrize("angle", [0, 135, 250])
def test_a_real_face_is_read_at_any_angle(photo: Pixels, angle: int) -> None:
    detector = Turned(load_torch(EMBEDDED / OWN_DETECTOR))
    after, points = about(photo, angle)
    low = np.maximum(points.mean(axis=0).astype(int) - 90, 0)
    face = detector.detect(after[low[1] : low[1] + 180, low[0] : low[0] + 180])[0]
    eyes = np.linalg.norm(points[0] - points[1])
    assert np.linalg.norm(np.array(face.landmarks) + low - points, axis=1).mean() < SAME_READING * eyes


@pytest.mark.parametrize("angle", [45, 90, 180, 290])
def test_recognisers_see_the_same_picture_at_any_angle(photo: Pixels, angle: int) -> None:
    turned_photo, points = about(photo, angle)
    one = crop(photo, similarities(np.array([FACE.landmarks], float), ARCFACE_112)[0], (112, 112)).astype(int)
    other = crop(turned_photo, similarities(points[None], ARCFACE_112)[0], (112, 112)).astype(int)
    assert np.abs(one - other).mean() < 2.5


@settings(max_examples=20)
@given(st.floats(-np.pi, np.pi), st.floats(0.4, 6.0))
def test_the_bounds_lie_over_the_face_at_any_angle(angle: float, unit: float) -> None:
    matrix = unit * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (ARCFACE_112 - 56) @ matrix.T + 400
    low, high = points.min(axis=0), points.max(axis=0)
    face = Face((*low, *high), tuple(map(tuple, points)), 0.9)
    grey = np.full((800, 800, 3), 128, np.uint8)
    (own,) = cut_faces([FaceInPhoto(grey, face, 1)])
    batch = bounded(own, BUDGET, "cpu")
    limits, region = batch.luma_limits[0, 0].numpy(), own.region
    ys, xs = np.mgrid[0:PATCH_PX, 0:PATCH_PX]
    scale = region.side / PATCH_PX
    places = np.stack([xs, ys], -1).reshape(-1, 2) * scale + scale / 2 - 0.5 + (region.left, region.top)
    template = (places - 400) @ np.linalg.inv(matrix).T + 56
    weight = limits.ravel()[:, None]
    centre = (template * weight).sum(axis=0) / weight.sum()
    assert np.abs(centre - (56, 60.5)).max() < 2.5, "the bound's middle is the face's"
    assert max(limits[0].max(), limits[-1].max(), limits[:, 0].max(), limits[:, -1].max()) < 0.02
