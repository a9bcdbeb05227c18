"""The verifier's own look at an original: what the worker may have missed, and what may be no human face.

The worker looks once, as the policy says. Here the photo is looked at again, at other sizes, for fainter faces, and on
its sides and head, and recognisers give a second opinion on each (`opinion`). What the two looks do not see alike is
*uncertain*: it is never passed over, but named with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from uncnn.daemon.protect.measuring import same_face
from uncnn.daemon.verify.answers import Answers
from uncnn.daemon.verify.opinion import Kind, Opinion
from uncnn.daemon.verify.sighting import ANIMAL, EDGE, FAINT, ONLY_IN_COPY, TURNED, Sighting
from uncnn.plugins.api import Detector, Face, Pixels, Rotated
from uncnn.plugins.detectors.retinaface import DEFAULT_THRESHOLD, RetinaFace
from uncnn.plugins.detectors.turned import Glance, Reading, Turned

FAINTEST: Final = 0.06  # the least score of a face that the second look sees
NO_SCORE: Final = 2.0  # is sure enough: a face must look human to recognisers
SURE: Final = 0.95  # from this score on a face is cloaked, whatever the recognisers make of it
LARGEST_SCALE: Final = (
    2.25  # the worker looks at small photos three times enlarged: between, faces fall on other anchors
)
VIEW_SHARE: Final = 0.8  # and at large ones in this share of the worker's pixels
READABLE_PX: Final = 24.0  # faces of this size in the detector's largest view are found; smaller ones only sometimes
LYING: Final = 60.0  # degrees: a face that is tilted farther is called turned


@dataclass(frozen=True, slots=True)
class Look:
    """What the second look saw in one photo, kept while it is judged again and again."""

    sha256: str  # of the file
    rotated: Rotated
    pixels: Pixels
    upright: list[Face]  # fainter ones too, best score first
    turned: list[Face]  # those that no upright one explains
    answers: Answers
    readings: list[Face] = field(default_factory=list)  # all that turned copies show, right or wrong
    kinds: dict[Face, Kind] = field(default_factory=dict)  # opinions that were given


@dataclass(frozen=True, slots=True)
class SecondLook:
    """A detector and recognisers that look at an original independently of the worker."""

    detector: Detector
    opinion: Opinion

    def at(self, sha256: str, photo: Pixels, rotated: Rotated) -> Look:
        """Return what there is to see in `photo`, (H, W, 3) uint8 RGB."""
        upright = _fainter(self.detector).detect(photo)
        sure = [face for face in upright if face.score >= _threshold(self.detector)]
        glance = Glance.of(self.detector)
        readings = glance.readings(photo)
        turned = glance.disputed(sure, readings)
        if rotated is True or turned:
            whole = Turned(self.detector).around(photo, sure)
            turned = [face for face in whole if not _among(face, sure)] + [
                face for face in turned if not _at(face, whole)
            ]
        return Look(sha256, rotated, photo, upright, turned, Answers(photo), [reading.face for reading in readings])

    def sightings(self, look: Look, known: Sequence[Face] | None) -> list[Sighting]:
        """Return the faces `known` to the worker, in their order, then those that only this look shows.

        None: nobody else looked, and what this look is sure of counts as known.
        """
        if known is None:
            known = [face for face in look.upright if face.score >= _threshold(self.detector)]
        own: list[Face] = []
        for face in (*look.turned, *look.upright):
            is_read = _among(face, known) if face in look.turned else _at(face, known)
            if not is_read and not _at(face, own):
                own.append(face)
        self._look_at(look, [*known, *own])
        animals = [face for face in (*known, *own) if look.kinds[face] == "animal"]
        return self.told(look, [*known, *own, *self._read_anew(look, animals)], len(known))

    def _read_anew(self, look: Look, animals: Sequence[Face]) -> list[Face]:
        """Return the readings of those faces that make people of them: the face of one who lies may be misread."""
        others = [face for face in look.readings if _at(face, animals) and face not in look.turned]
        kinds = self.opinion.kinds(look.pixels, others, NO_SCORE)
        human = [face for face, kind in zip(others, kinds, strict=True) if kind == "human"]
        best: list[Face] = []
        for face in sorted(human, key=lambda face: -face.score):
            if not _at(face, best):
                best.append(face)
        look.kinds.update(dict.fromkeys(best, "human"))
        return best

    def _look_at(self, look: Look, faces: Sequence[Face]) -> None:
        """Have recognisers say what each of `faces` is, where they have not."""
        new = [face for face in dict.fromkeys(faces) if face not in look.kinds]
        look.kinds.update(zip(new, self._kinds(look.pixels, new), strict=True))

    def told(self, look: Look, faces: Sequence[Face], known: int = 0) -> list[Sighting]:
        """Return what is in doubt about each of `faces`, the first of which are `known`."""
        self._look_at(look, faces)
        return [self._sighting(look, face, number < known) for number, face in enumerate(faces)]

    def worth_judging(self, copy: Look, known: Sequence[Face]) -> list[Face]:
        """Return the faces of the released photo: the sure ones, and fainter ones that are known or look human."""
        sure = [face for face in copy.upright if face.score >= _threshold(self.detector)]
        faint = [face for face in copy.upright if face not in sure]
        new = [face for face in faint if not _at(face, known)]
        human = [face for face, kind in zip(new, self._kinds(copy.pixels, new), strict=True) if kind == "human"]
        return [*sure, *copy.turned, *(face for face in faint if face in human or _among(face, known))]

    def only_in_copy(self, copy: Look, faces: Sequence[Face]) -> list[Sighting]:
        """Return what is in doubt about faces that only the released photo shows."""
        return [
            Sighting(face, ONLY_IN_COPY if kind == "human" else ANIMAL, kind == "human" or face.score >= SURE, False)
            for face, kind in zip(faces, self._kinds(copy.pixels, faces), strict=True)
        ]

    def _kinds(self, photo: Pixels, faces: Sequence[Face]) -> list[Kind]:
        return self.opinion.kinds(photo, faces, _threshold(self.detector))

    def _sighting(self, look: Look, face: Face, known: bool) -> Sighting:
        human = look.kinds[face] == "human"
        confirmed = known and _among(face, (*look.upright, *look.turned))
        if not human:
            words = ANIMAL
        elif _tilt(face) > LYING and (not known or look.rotated is False):
            words = TURNED
        elif not confirmed and face.size_px < _reach(look.pixels, self.detector):
            words = EDGE
        else:
            words = "" if known else FAINT
        return Sighting(face, words, human or face.score >= SURE, known)


def _fainter(detector: Detector) -> Detector:
    """Return the detector with a lower threshold, and other views than the worker's."""
    if not isinstance(detector, RetinaFace):
        return detector
    pixels = round(detector.view_pixels * VIEW_SHARE)
    return replace(detector, threshold=FAINTEST, view_pixels=pixels, largest_scale=LARGEST_SCALE)


def _threshold(detector: Detector) -> float:
    return detector.threshold if isinstance(detector, RetinaFace) else DEFAULT_THRESHOLD


def _reach(photo: Pixels, detector: Detector) -> float:
    """Return the size from which on faces of `photo` are found, in its pixels."""
    pixels = detector.view_pixels if isinstance(detector, RetinaFace) else photo.shape[0] * photo.shape[1]
    scale: float = (photo.shape[0] * photo.shape[1] / pixels) ** 0.5
    return READABLE_PX * max(scale, 1.0)


def _among(face: Face, others: Sequence[Face]) -> bool:
    return any(same_face(face, other) for other in others)


def _at(face: Face, others: Sequence[Face]) -> bool:
    """Return whether one of `others` lies where `face` does, however it is read."""
    return any(Reading(face, 0).is_at(Reading(other, 0)) for other in others)


def _tilt(face: Face) -> float:
    return Reading(face, 0).tilt
