"""The verifier's own look at an original: nothing that it sees goes unsaid, and an animal is not taken for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from uncnn.daemon.verify.detection import ANIMAL, EDGE, FAINT, ONLY_IN_COPY, TURNED, Detection
from uncnn.daemon.verify.opinion import Opinion, is_readable, load_opinion, planes
from uncnn.daemon.verify.second_look import Look, SecondLook, load_second_detector
from uncnn.daemon.verify.similarities import Similarities
from uncnn.exporters.registry.detectors import OWN_ONNX
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors.retinaface import DEFAULT_THRESHOLD, RetinaFace, load_onnx
from uncnn.plugins.detectors.retinaface_boxes import overlap
from uncnn.plugins.recognisers.cards import read_card

CPU = ["CPUExecutionProvider"]
PHOTO = np.zeros((300, 400, 3), np.uint8)
POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


def face(left: float = 100, size: float = 50, score: float = 0.9, turn: int = 0) -> Face:
    """Return a face at 100 px from the top, turned about its middle by right angles."""
    points = POINTS - 0.5
    for _ in range(turn):
        points = np.stack([points[:, 1], -points[:, 0]], axis=1)
    placed = (points + 0.5) * size + (left, 100)
    return Face((left, 100, left + size, 100 + size), tuple(map(tuple, placed)), score)


class Upright:
    """A detector that sees what it is told to in the photo as it stands, and nothing in turned ones."""

    def __init__(self, *faces: Face) -> None:
        self.faces, self.looks = faces, 0

    def detect(self, photo: Pixels) -> list[Face]:
        self.looks += 1
        return list(self.faces) if self.looks == 1 else []


class Human:
    """An opinion that takes every face for a human one but those that it is told of."""

    def __init__(self, *animals: Face) -> None:
        self.animals = animals

    def kinds(self, photo: Pixels, faces: Sequence[Face], sure: float) -> list[str]:
        return ["animal" if face in self.animals else "human" for face in faces]


def detections_in(seen: Sequence[Face], known: Sequence[Face] | None, *animals: Face) -> list[Detection]:
    second = SecondLook(Upright(*seen), Human(*animals))  # type: ignore[arg-type]
    return second.detections(second.at("", PHOTO, False), known)


def test_what_both_see_is_in_no_doubt() -> None:
    (found,) = detections_in([face()], [face(101)])
    assert (found.face, found.uncertain, found.known) == (face(101), "", True)
    assert found.counts("publish")


def test_what_the_worker_did_not_see_is_named_and_counts() -> None:
    first, second = detections_in([face(), face(250)], [face()])
    assert (first.uncertain, second.uncertain) == ("", FAINT)
    assert second.face == face(250)
    assert second.counts("cloak")
    assert not second.counts("publish")


def test_a_face_that_the_worker_misread_is_cloaked_where_it_is() -> None:
    """The worker read it upright; it stands on its head, and the glance shows it."""

    class OnItsHead(Upright):
        def detect(self, photo: Pixels) -> list[Face]:
            self.looks += 1
            height, width = photo.shape[:2]
            if self.looks == 1:
                return [face(score=0.7)]
            if (height, width) == PHOTO.shape[:2]:  # turned by 180 degrees
                points = [(width - 1 - x, height - 1 - y) for x, y in face(turn=2).landmarks]
                x0, y0, x1, y1 = face().box
                return [Face((width - x1, height - y1, width - x0, height - y0), tuple(points), 0.95)]  # type: ignore[arg-type]
            return []

    second = SecondLook(OnItsHead(), Human())  # type: ignore[arg-type]
    first, found = second.detections(second.at("", PHOTO, False), [face(score=0.7)])
    assert first.face == face(score=0.7)
    assert found.uncertain == TURNED
    assert np.abs(np.array(found.face.landmarks) - np.array(face(turn=2).landmarks)).max() < 1
    assert found.counts("cloak")


def test_a_face_that_lies_and_is_misread_as_an_animals_is_read_anew() -> None:
    """Upright readings of it are the surest, and make no sense to recognisers; one of its turned copies does."""
    misread, right = face(), face(turn=1, score=0.7)

    class Arbiter(Human):
        def kinds(self, photo: Pixels, faces: Sequence[Face], sure: float) -> list[str]:
            return ["human" if each == right else "animal" for each in faces]

    second = SecondLook(Upright(misread), Arbiter())  # type: ignore[arg-type]
    look = Look("", "auto", PHOTO, [misread], [], Similarities(PHOTO), [misread, right])
    first, found = second.detections(look, [misread])
    assert (first.face, first.uncertain, first.counts("cloak")) == (misread, ANIMAL, False)
    assert (found.face, found.counts("cloak")) == (right, True)


def test_an_animal_is_left_and_a_sure_face_is_not_whatever_recognisers_say() -> None:
    pet, sure = face(score=0.9), face(250, score=0.97)
    first, second = detections_in([pet, sure], [pet, sure], pet, sure)
    assert first.uncertain == second.uncertain == ANIMAL
    assert [each.counts("cloak") for each in (first, second)] == [False, True]


def test_small_faces_of_a_large_photo_are_at_the_edge() -> None:
    detector = RetinaFace(None, view_pixels=PHOTO.size // 3 // 4)  # type: ignore[arg-type]
    second = SecondLook(detector, Human())  # type: ignore[arg-type]
    look = Look("", False, PHOTO, [face(size=40), face(250, size=60)], [], Similarities(PHOTO))
    assert [each.uncertain for each in second.detections(look, [])] == [EDGE, FAINT]


def test_without_a_worker_its_own_sure_faces_are_known() -> None:
    first, second = detections_in([face(), face(250, score=DEFAULT_THRESHOLD - 0.1)], None)
    assert (first.known, first.uncertain) == (True, "")
    assert (second.known, second.uncertain) == (False, FAINT)


def test_faces_of_the_copy_alone_are_said_too() -> None:
    second = SecondLook(Upright(), Human(face(250)))  # type: ignore[arg-type]
    copy = second.at("", PHOTO, False)
    told = second.only_in_copy(copy, [face(), face(250)])
    assert [each.uncertain for each in told] == [ONLY_IN_COPY, ANIMAL]
    assert [each.counts("cloak") for each in told] == [True, False]


def both(*others: Face, animals: Sequence[Face] = (), seen: Sequence[Face] = ()) -> SecondLook:
    """Return the look of two detectors, the second of which sees `others`."""
    return SecondLook(Upright(*seen), Human(*animals), Upright(*others))  # type: ignore[arg-type]


def test_what_only_the_second_detector_sees_is_named_and_counts_where_it_looks_human() -> None:
    human, thing = face(score=0.2), face(250, score=0.99)  # its scores say nothing of what is human
    second = both(human, thing, animals=[thing])
    first, other = second.detections(second.at("", PHOTO, False), [])
    assert (first.face, first.uncertain, first.known) == (human, FAINT, False)
    assert [first.counts(each) for each in ("cloak", "publish")] == [True, False]
    assert (other.face, other.uncertain, other.counts("cloak")) == (thing, ANIMAL, False)


def test_what_the_second_detector_sees_too_is_said_once() -> None:
    known, faint = face(), face(250, score=0.3)
    second = both(face(101, score=0.2), face(251, score=0.2), seen=[known, faint])
    assert [each.face for each in second.detections(second.at("", PHOTO, False), [known])] == [known, faint]


def test_a_small_face_before_a_large_one_is_another() -> None:
    """As in a crowd: its middle lies near that of the large one, for the large one's size."""
    large, small = face(size=100), face(133, size=34, score=0.2)
    second = both(small, seen=[large])
    assert [each.face for each in second.detections(second.at("", PHOTO, False), [large])] == [large, small]


def test_recognisers_are_asked_about_the_second_detectors_faces_as_about_faint_ones() -> None:
    """A sure detector's small face is human to them; this one's is only where it looks so."""

    class Asked(Human):
        def kinds(self, photo: Pixels, faces: Sequence[Face], sure: float) -> list[str]:
            return ["animal" if each.score < sure else "human" for each in faces]

    other, faint, sure = face(score=0.9), face(200, score=0.2), face(300, score=0.9)
    second = SecondLook(Upright(faint, sure), Asked(), Upright(other))  # type: ignore[arg-type]
    found = {each.face: each.uncertain for each in second.detections(second.at("", PHOTO, False), [sure])}
    assert found == {sure: "", other: ANIMAL}


@pytest.mark.parametrize(
    ("seen", "others", "said"),
    [
        (face(score=0.4), [], ""),
        (face(score=0.4), [face(102, score=0.06)], ANIMAL),  # both see it, however faintly
        (face(score=0.46), [], ANIMAL),  # the detector is sure
        (face(size=23, score=0.4), [], ANIMAL),  # smaller than what the second one finds for certain
    ],
)
def test_a_faint_face_that_nobody_else_takes_for_one_is_not_mentioned(
    seen: Face, others: Sequence[Face], said: str
) -> None:
    second = both(*others, animals=[seen], seen=[seen])
    assert [each.uncertain for each in second.detections(second.at("", PHOTO, False), [])] == [said] * bool(said)
    known = second.detections(Look("", False, PHOTO, [seen], [], Similarities(PHOTO)), [seen])
    assert [each.uncertain for each in known] == [ANIMAL], "the worker saw it"


def test_in_a_photo_that_the_second_detector_sees_smaller_faint_faces_are_mentioned_all_the_same() -> None:
    seen = face(score=0.4)
    coarse = replace(load_second_detector(CPU), view_pixels=PHOTO.size // 3 // 9)
    second = SecondLook(Upright(seen), Human(seen), coarse)  # type: ignore[arg-type]
    assert [each.uncertain for each in second.detections(second.at("", PHOTO, False), [])] == [ANIMAL]


def test_the_second_detector_finds_a_known_face_again_in_the_copy_and_new_ones() -> None:
    known, again, new, thing = face(), face(101, score=0.2), face(200, score=0.3), face(300, score=0.3)
    second = both(again, new, thing, animals=[thing])
    copy = second.at("", PHOTO, False)
    assert second.worth_judging(copy, [known]) == [again, new]
    told = second.only_in_copy(copy, [new, thing])
    assert [(each.uncertain, each.counts("cloak")) for each in told] == [(ONLY_IN_COPY, True), (ANIMAL, False)]


def test_the_second_detector_is_spared_where_it_is_not_wanted() -> None:
    assert both(face(score=0.2)).at("", PHOTO, False, by_both=False).others == []
    assert both(face(score=0.2)).at("", PHOTO, False).others == [face(score=0.2)]


def test_in_the_copy_a_face_that_both_detectors_see_is_judged_once() -> None:
    second = both(face(101, score=0.3), seen=[face(score=0.2)])
    assert second.worth_judging(second.at("", PHOTO, False), []) == [face(score=0.2)]


def test_a_covered_face_that_only_the_second_detector_sees_is_not_passed_over() -> None:
    """A portrait with a white board before it from the forehead down, 96 px wide."""
    skimage = pytest.importorskip("skimage")
    photo = skimage.data.astronaut()[20:220, 130:330].copy()
    photo[40:175, 40:120] = (200, 200, 200)
    small = np.asarray(Image.fromarray(photo).resize((96, 96), Image.Resampling.LANCZOS))
    where = np.array([57, 55, 136, 158], np.float32) * (96 / 200)
    detector, recognisers = load_onnx(EMBEDDED / OWN_ONNX, CPU, 1), load_opinion(CPU)

    def seen(second: SecondLook) -> list[Detection]:
        found = second.detections(second.at("", small, "auto"), detector.detect(small))
        return [each for each in found if overlap(where, np.array([each.face.box], np.float32))[0] > 0.3]

    assert not seen(SecondLook(detector, recognisers))
    (found,) = seen(SecondLook(detector, recognisers, load_second_detector(CPU)))
    assert found.uncertain
    assert not found.known


def test_the_statistic_is_of_the_recognisers_that_are_here() -> None:
    shipped = {read_card(card.parent).sha256 for card in EMBEDDED.glob("*/card.yaml")}
    assert planes().keys() <= shipped
    assert len(planes()) == 3


def test_without_a_recogniser_every_face_is_human() -> None:
    assert Opinion(()).kinds(PHOTO, [face(), face(score=0.2)], 0.46) == ["human", "human"]


@pytest.mark.parametrize(
    ("seen", "readable"),
    [
        (face(size=70), True),
        (face(size=70, turn=1), True),
        (face(0.5, 70), False),
        (face(329.5, 70), False),
        (face(), False),
    ],
)
def test_a_face_that_is_small_or_at_the_border_is_not_readable(seen: Face, readable: bool) -> None:
    assert is_readable(seen, PHOTO.shape) is readable


def test_a_face_in_profile_is_not_readable() -> None:
    points = POINTS.copy()
    points[0], points[2] = (0.62, 0.4), (0.95, 0.6)
    aside = Face((100, 100, 180, 180), tuple(map(tuple, points * 80 + 100)), 0.9)
    assert not is_readable(aside, PHOTO.shape)


SPOILT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "dark": lambda image: image.point(lambda value: value * 0.15),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(5)),
    "on its side": lambda image: image,
}


@pytest.fixture(scope="module")
def opinion() -> Opinion:
    return load_opinion(CPU)


@pytest.mark.parametrize("how", SPOILT)
def test_recognisers_read_a_person_as_one(opinion: Opinion, how: str) -> None:
    skimage = pytest.importorskip("skimage")
    photo = np.asarray(SPOILT[how](Image.fromarray(skimage.data.astronaut())))
    points = np.array([[207, 110], [245, 108], [228, 135], [210, 152], [243, 151]], float)
    if how == "on its side":
        photo, points = np.rot90(photo), np.stack([points[:, 1], photo.shape[1] - 1 - points[:, 0]], axis=1)
    seen = Face((187, 75, 266, 178), tuple(map(tuple, points)), 0.5)
    assert opinion.kinds(np.ascontiguousarray(photo), [seen], 0.46) == ["human"]


def test_recognisers_do_not_read_a_cat_as_a_person(opinion: Opinion) -> None:
    skimage = pytest.importorskip("skimage")
    photo: Any = skimage.data.chelsea()
    points = np.array([[173, 112], [317, 134], [262, 244], [205, 262], [300, 278]], float)
    cat = Face((90, 20, 370, 295), tuple(map(tuple, points)), 0.9)
    assert opinion.kinds(photo, [cat], 0.46) == ["animal"]


def test_a_large_cat_at_the_border_is_none_either(opinion: Opinion) -> None:
    """A face of a person that is cut there is read as one."""
    skimage = pytest.importorskip("skimage")
    cut: Any = np.ascontiguousarray(skimage.data.chelsea()[:, 100:])
    points = np.array([[73, 112], [217, 134], [162, 244], [105, 262], [200, 278]], float)
    cat = Face((0, 20, 270, 295), tuple(map(tuple, points)), 0.9)
    assert opinion.kinds(cut, [cat], 0.46) == ["animal"]
    person: Any = np.ascontiguousarray(skimage.data.astronaut()[:, 195:])
    seen = np.array([[12, 110], [50, 108], [33, 135], [15, 152], [48, 151]], float)
    assert opinion.kinds(person, [Face((0, 75, 71, 178), tuple(map(tuple, seen)), 0.9)], 0.46) == ["human"]
