"""Canaries: what a sound model must say of a picture that is known, asked at start and every so many photos.

A hash says that a file is the one that was meant. A canary says that what runs still sees: a driver, a runtime, damaged
memory or a card that somebody edited can make a detector blind and a judge indifferent, and both would publish photos.

The picture is `canary.png`, two faces of nobody (`exporters.train.canary_picture` draws it); one without is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from uncnn.plugins.api import Detector, Face, Pixels, UncnnError
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers
from uncnn.plugins.recognisers.cards import Card, compare, rate_text
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

PICTURE = Path(__file__).with_name("canary.png")

Landmarks: TypeAlias = npt.NDArray[np.float64]

DRAWN: Landmarks = np.array([[60.4, 78.6], [96.6, 77.5], [78.8, 96.6], [63.6, 110.4], [95.9, 109.5]])
CROWD: Landmarks = np.array([[219.7, 74.5], [258.9, 74.6], [239.5, 96.9], [223.5, 114.4], [255.3, 114.5]])
"""Left eye, right eye, nose, left and right mouth corner of the two faces, x and y in pixels of the picture."""

NEAR = 0.3  # of the distance between the eyes: landmarks that lie nearer were found
LEAST_SCORE = 0.8  # of both; the published detector gives more than 0.95
SECOND_LEAST_SCORE = 0.7  # of the right one, by the second detector, which gives 0.87; the drawn one it does not see

_AGAIN = "run `uncnn-daemon models check`, and take the weights that it names away or install uncnn again"
_OTHER = "choose another as `models.detector` in config.yaml"

EVERY = 50
"""So many requests between one look and the next."""


class CanaryError(UncnnError):
    """A model does not say of a known picture what it must: nothing is published by it."""

    fault = "model"
    canaries: CanaryAnswers | None = None  # of all that were asked with it


class Canaries:
    """Looks at the models of a process when they are loaded, and at every so many requests from then on."""

    def __init__(
        self,
        detector: Detector,
        recognisers: Sequence[OnnxRecogniser] = (),
        second_detector: Detector | None = None,
        every: int = EVERY,
        plugin: str = "",
    ) -> None:
        """Look at once; `plugin` is the name of a detector that was chosen in place of RetinaFace.

        Raises:
            CanaryError: a model is not sound.
        """
        self._detector = detector
        self._plugin = plugin
        self._recognisers = recognisers
        self._second_detector = second_detector
        self._every = every
        self._left = 0
        self.answers = CanaryAnswers("", ())  # when they were last asked
        self.count()

    def count(self) -> None:
        """Count a request, and look again where it is time; one that failed is looked at at every request.

        Raises:
            CanaryError: a model is not sound.
        """
        if self._left == 0:
            self._ask()
            self._left = self._every
        self._left -= 1

    def _ask(self) -> None:
        """Ask every model, also after one that is not sound. Raises CanaryError: of the first one that is not."""
        passed, failed = list[str](), dict[str, CanaryError]()
        for name, check in self._checks():
            try:
                check()
            except CanaryError as error:
                failed[name] = error
            else:
                passed.append(name)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        problem = "; ".join(map(str, failed.values()))
        self.answers = CanaryAnswers(now, tuple(passed), tuple(failed), problem)
        if failed:
            first = next(iter(failed.values()))
            first.canaries = self.answers
            raise first

    def _checks(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield the name of each model, and what asks it."""
        yield self._plugin or "detector", partial(check_detector, self._detector, self._plugin)
        if self._second_detector is not None:
            yield "second detector", partial(check_second_detector, self._second_detector)
        for recogniser in self._recognisers:
            yield recogniser.card.name, partial(check_recognisers, [recogniser])


def check_detector(detector: Detector, plugin: str = "") -> None:
    """Check that a detector finds both faces of the known picture, and none where there is none.

    `plugin` is its name where it is not RetinaFace.

    Raises:
        CanaryError: it misses one, misplaces its landmarks, is unsure of it, or sees what is not there.
    """
    which = f"the detector {plugin}" if plugin else "the detector"
    _check_sight(detector, which, {"drawn": DRAWN, "mean": CROWD}, LEAST_SCORE, _OTHER if plugin else _AGAIN)


def check_second_detector(detector: Detector) -> None:
    """Check that the second detector finds the mean face of the known picture, and none where there is none.

    Raises:
        CanaryError: it misses it, misplaces its landmarks, is unsure of it, or sees what is not there.
    """
    _check_sight(detector, "the second detector", {"mean": CROWD}, SECOND_LEAST_SCORE)


def _check_sight(
    detector: Detector, which: str, faces: Mapping[str, Landmarks], least_score: float, remedy: str = _AGAIN
) -> None:
    found = detector.detect(picture())
    for name, landmarks in faces.items():
        if not any(_is_at(face, landmarks) and face.score >= least_score for face in found):
            raise CanaryError(_detector_words(which, f"misses the {name} face of a known picture", remedy))
    if len(found) != len(faces):
        raise CanaryError(
            _detector_words(which, f"finds {len(found)} faces in a known picture of {len(faces)}", remedy)
        )
    if detector.detect(plain()):
        raise CanaryError(_detector_words(which, "finds a face in a picture without one", remedy))


def check_recognisers(recognisers: Sequence[OnnxRecogniser]) -> None:
    """Check that each recogniser links a face with a changed picture of it, and not with a stranger.

    Raises:
        CanaryError: one does not, or gives no embeddings; it is named.
    """
    photo, again = picture(), changed()
    for recogniser in recognisers:
        card = recogniser.card
        try:
            drawn, stranger = (recogniser.embed(photo, each[None]) for each in (DRAWN, CROWD))
            pair = recogniser.embed(again, DRAWN[None])
            same, other = (float(compare(card, drawn, each)[0]) for each in (pair, stranger))
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            raise CanaryError(_recogniser_words(card, f"gives no embedding of a known face ({error})")) from error
        _check_answers(card, same, other)


def _check_answers(card: Card, same: float, other: float) -> None:
    """Ask at every rate of the card: the strictest must still link the pair, the loosest not the stranger."""
    for far, threshold in sorted(card.thresholds.items()):
        if not card.matches(same, far):
            words = f"does not link two pictures of one face ({same:.3f}, threshold {threshold:.3f}"
            raise CanaryError(_recogniser_words(card, f"{words} at FAR {rate_text(far)})"))
        if card.matches(other, far):
            words = f"links two strangers ({other:.3f}, threshold {threshold:.3f}"
            raise CanaryError(_recogniser_words(card, f"{words} at FAR {rate_text(far)})"))


@cache
def picture() -> Pixels:
    """Return the known picture, (160, 320, 3) uint8 RGB."""
    with Image.open(PICTURE) as image:
        return np.asarray(image.convert("RGB"))


@cache
def plain() -> Pixels:
    """Return a picture without a face, of the same size: a slope of grey with a camera's noise."""
    rows, columns, _ = picture().shape
    slope = np.linspace(60, 190, columns)[None, :, None] + np.linspace(-20, 20, rows)[:, None, None]
    noise = np.random.default_rng(0).normal(0, 3, (rows, columns, 3))
    return np.clip(slope + noise, 0, 255).astype(np.uint8)


@cache
def changed() -> Pixels:
    """Return the known picture a pixel further right, darker, and with noise: the same faces to everybody."""
    noise = np.random.default_rng(0).normal(0, 4, picture().shape)
    return np.clip(np.roll(picture(), 1, axis=1) * 0.9 + 6 + noise, 0, 255).astype(np.uint8)


def _is_at(face: Face, landmarks: Landmarks) -> bool:
    eyes = float(np.linalg.norm(landmarks[0] - landmarks[1]))
    return bool(np.linalg.norm(np.array(face.landmarks) - landmarks, axis=1).max() < NEAR * eyes)


def _detector_words(which: str, what: str, remedy: str) -> str:
    return f"{which} {what}: it would miss faces of yours, so nothing is published; {remedy}"


def _recogniser_words(card: Card, what: str) -> str:
    return (
        f"{card.name} {what}: its word is worth nothing, so nothing is published; run `uncnn-daemon models check "
        f"{card.name}`, and install it again or leave it out of `models` in config.yaml"
    )
