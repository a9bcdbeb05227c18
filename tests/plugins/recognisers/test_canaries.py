"""What canaries see: sound models pass with room to spare, and each kind of unsound one is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uncnn.daemon.protect.wire import RequestError
from uncnn.exporters.registry.detectors import OWN_ONNX, second_onnx
from uncnn.exporters.registry.pins import EMBEDDED
from uncnn.exporters.train.canary_picture import picture as drawn
from uncnn.plugins.api import Face, Pixels
from uncnn.plugins.detectors.centerface import CenterFace
from uncnn.plugins.detectors.centerface import load_onnx as load_second
from uncnn.plugins.detectors.retinaface import RetinaFace, load_onnx
from uncnn.plugins.recognisers import canaries
from uncnn.plugins.recognisers.canaries import (
    Canaries,
    CanaryError,
    check_detector,
    check_recognisers,
    check_second_detector,
)
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

CPU = ["CPUExecutionProvider"]
NAMES = sorted(card.parent.name for card in EMBEDDED.glob("*/card.yaml"))


@pytest.fixture(scope="module")
def detector() -> RetinaFace:
    return load_onnx(EMBEDDED / OWN_ONNX, CPU, 1)


@pytest.fixture(scope="module")
def students() -> OnnxRecogniser:
    return OnnxRecogniser.load(EMBEDDED / "mobileface-v2", CPU)


def test_the_picture_is_the_one_that_the_script_draws() -> None:
    made, there = drawn().astype(int), canaries.picture().astype(int)
    assert made.shape == there.shape
    assert np.abs(made - there).max() <= 2, "another Pillow may round otherwise"


def test_what_ships_is_sound(detector: RetinaFace) -> None:
    check_detector(detector)
    check_recognisers([OnnxRecogniser.load(EMBEDDED / name, CPU) for name in NAMES])


def test_every_real_recogniser_is_sound(shared_models: Path) -> None:
    folders = [card.parent for card in sorted((shared_models / "reference").glob("*/card.yaml"))]
    check_recognisers([OnnxRecogniser.load(folder, CPU) for folder in folders])


@dataclass
class Seer:
    """A detector that is told what it sees in the known picture and in the plain one."""

    known: list[Face]
    plain: list[Face]

    def detect(self, photo: Pixels) -> list[Face]:
        return self.known if np.array_equal(photo, canaries.picture()) else self.plain


def test_the_least_score_is_enough(detector: RetinaFace) -> None:
    sound = detector.detect(canaries.picture())
    check_detector(Seer([replace(face, score=canaries.LEAST_SCORE) for face in sound], []))
    with pytest.raises(CanaryError, match="misses the"):
        check_detector(Seer([replace(face, score=canaries.LEAST_SCORE - 1e-6) for face in sound], []))


def test_a_detector_that_is_not_sound_is_said_to_be(detector: RetinaFace) -> None:
    sound = detector.detect(canaries.picture())
    check_detector(Seer(sound, []))
    moved = [replace(face, landmarks=tuple((x + 20, y) for x, y in face.landmarks)) for face in sound]
    unsure = [replace(face, score=0.5) for face in sound]
    for seen, plain, words in (
        ([], [], "misses the drawn face"),
        (sound[:1], [], "misses the"),
        (moved, [], "misses the"),
        (unsure, [], "misses the"),
        ([*sound, replace(sound[0], box=(0, 0, 9, 9))], [], "finds 3 faces"),
        (sound, sound[:1], "finds a face in a picture without one"),
    ):
        with pytest.raises(CanaryError, match=rf"the detector {words}.*nothing is published"):
            check_detector(Seer(seen, plain))


@pytest.fixture(scope="module")
def second() -> CenterFace:
    path, sha256 = second_onnx()
    return load_second(path, CPU, 1, sha256=sha256)


def test_the_remedy_fits_the_detector() -> None:
    blind = Seer([], [])
    with pytest.raises(CanaryError, match=r"^the detector misses .*models check") as ours:
        check_detector(blind)
    with pytest.raises(CanaryError, match=r"^the detector other misses .*`models\.detector`") as others:
        check_detector(blind, "other")
    assert "models.detector" not in str(ours.value)
    assert "models check" not in str(others.value)


def test_a_second_detector_that_is_not_sound_is_said_to_be(second: CenterFace) -> None:
    sound = second.detect(canaries.picture())
    check_second_detector(second)
    check_second_detector(Seer([replace(sound[0], score=canaries.SECOND_LEAST_SCORE)], []))
    moved = tuple((x + 20, y) for x, y in sound[0].landmarks)
    for seen, plain, words in (
        ([], [], "misses the mean face"),
        ([replace(sound[0], landmarks=moved)], [], "misses the mean face"),
        ([replace(sound[0], landmarks=tuple([(float("nan"), float("nan"))] * 5))], [], "misses the mean face"),
        ([replace(sound[0], score=canaries.SECOND_LEAST_SCORE - 1e-6)], [], "misses the mean face"),
        ([*sound, *sound], [], "finds 2 faces in a known picture of 1"),
        (sound, sound, "finds a face in a picture without one"),
    ):
        with pytest.raises(CanaryError, match=rf"^the second detector {words}.*nothing is published"):
            check_second_detector(Seer(seen, plain))


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_second_detector_whose_heat_is_the_same_everywhere_is_not_sound(second: CenterFace, value: float) -> None:
    class Flat:
        def run(self, names: Any, inputs: Any) -> list[Any]:
            heat, *rest = second.session.run(names, inputs)
            return [np.full_like(heat, value), *rest]

    with pytest.raises(CanaryError, match=r"^the second detector "):
        check_second_detector(CenterFace(Flat()))


def test_both_detectors_are_looked_at(detector: RetinaFace, second: CenterFace) -> None:
    Canaries(detector, second_detector=second)
    with pytest.raises(CanaryError, match=r"^the second detector misses"):
        Canaries(detector, second_detector=Seer([], []))


class Session:
    """What stands in for a network: it gives what it is told to."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get_inputs(self) -> list[Any]:
        return [type("Input", (), {"name": "input"})]

    def run(self, _names: None, inputs: dict[str, Any]) -> list[Any]:
        return [np.stack([self.answer(each) for each in inputs["input"]]).astype(np.float32)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: np.ones(256), "links two strangers"),
        (lambda _: np.full(256, np.nan), "gives no embedding of a known face"),
        (lambda _: np.zeros(256), "gives no embedding of a known face"),
        (lambda each: np.random.default_rng(int(np.abs(each).sum())).normal(size=256), "does not link two pictures"),
    ],
)
def test_a_recogniser_that_is_not_sound_is_named(students: OnnxRecogniser, answer: Any, words: str) -> None:
    with pytest.raises(CanaryError, match=rf"^mobileface-v2 {words}"):
        check_recognisers([OnnxRecogniser(students.card, Session(answer))])


@pytest.mark.parametrize(("far", "value", "words"), [(1e-4, 0.999, "does not link two"), (1e-2, -0.5, "links two")])
def test_a_threshold_that_cannot_be_is_seen(students: OnnxRecogniser, far: float, value: float, words: str) -> None:
    card = students.card.model_copy(update={"thresholds": {**students.card.thresholds, far: value}})
    with pytest.raises(CanaryError, match=words):
        check_recognisers([OnnxRecogniser(card, students.session)])


def test_it_looks_again_after_so_many_requests_and_stays_with_a_failure(detector: RetinaFace) -> None:
    seer = Seer(detector.detect(canaries.picture()), [])
    watch = Canaries(seer, every=3)
    seer.known = []  # it goes blind
    watch.count()
    watch.count()
    for _ in range(2):
        with pytest.raises(CanaryError):
            watch.count()
    seer.known = detector.detect(canaries.picture())
    watch.count()


def test_what_each_model_said_is_known_also_where_one_of_them_fails(
    detector: RetinaFace, second: CenterFace, students: OnnxRecogniser
) -> None:
    sound = Canaries(detector, [students], second).answers
    assert (sound.passed, sound.failed, sound.problem) == (("detector", "second detector", "mobileface-v2"), (), "")
    assert datetime.now(UTC) - datetime.fromisoformat(sound.asked) < timedelta(minutes=5)
    numb = OnnxRecogniser(students.card, Session(lambda _: np.ones(256)))
    with pytest.raises(CanaryError, match=r"^the detector blind misses") as caught:
        Canaries(Seer([], []), [numb, students], second, plugin="blind")
    said = caught.value.canaries
    assert said is not None
    assert (said.passed, said.failed) == (("second detector", "mobileface-v2"), ("blind", "mobileface-v2"))
    assert said.problem.startswith("the detector blind misses")
    assert "; mobileface-v2 links two strangers" in said.problem
    assert RequestError.read(RequestError.of(caught.value).values).canaries == said


def test_the_time_of_the_last_round_is_kept(detector: RetinaFace) -> None:
    watch = Canaries(Seer(detector.detect(canaries.picture()), []), every=2)
    watch.answers = first = replace(watch.answers, asked="2000-01-01T00:00:00+00:00")
    watch.count()
    assert watch.answers == first, "nobody was asked"
    watch.count()
    assert watch.answers.asked > first.asked
