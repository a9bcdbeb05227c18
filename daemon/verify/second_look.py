"""The verifier's own look at an original: what the worker may have missed, and what may be no human face.

The worker looks once, as the policy says. Here the photo is looked at again, at other sizes, for fainter faces, on its
sides and head, and by another detector (`centerface`), and recognisers give a second opinion on each (`opinion`). What
the looks do not see alike is *uncertain*: it is never passed over, but named with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from uncnn.daemon.verify.detection import ANIMAL, EDGE, FAINT, ONLY_IN_COPY, TURNED, Detection
from uncnn.daemon.verify.opinion import Kind, Opinion
from uncnn.daemon.verify.similarities import Similarities
from uncnn.exporters.registry.detectors import second_onnx
from uncnn.plugins.api import Detector, Face, Pixels, Rotated
from uncnn.plugins.detectors import centerface
from uncnn.plugins.detectors.centerface import CenterFace
from uncnn.plugins.detectors.retinaface import DEFAULT_THRESHOLD, RetinaFace
from uncnn.plugins.detectors.retinaface_boxes import overlap
from uncnn.plugins.detectors.turned import SAME_PLACE, Glance, Reading, Turned
from uncnn.plugins.geometry import same_face
from uncnn.plugins.recognisers.sessions import Provider

FAINTEST: Final = 0.06  # the least score of a face that the second look sees
FAINTEST_OF_SECOND: Final = 0.05  # where the second detector sees even less, a faint face that looks like none is none
NO_SCORE: Final = 2.0  # is sure enough: a face must look human to recognisers
SURE: Final = 0.95  # from this score on a face is cloaked, whatever its embeddings say
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
    similarities: Similarities
    readings: list[Face] = field(default_factory=list)  # all that turned copies show, right or wrong
    others: list[Face] = field(default_factory=list)  # what the second detector sees, fainter ones too
    kinds: dict[Face, Kind] = field(default_factory=dict)  # opinions that were given


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Detectors and recognisers that look at an original independently of the worker.

    The second detector's word is that a face may be there, whatever its score: recognisers have to find it human. It
    has another: what the first one hardly sees, what recognisers find like nobody, and what it does not see at all, is
    no face, and is not mentioned.
    """

    detector: Detector
    opinion: Opinion
    second_detector: Detector | None = None  # None: nobody else is asked

    def at(self, sha256: str, photo: Pixels, rotated: Rotated, by_both: bool = True) -> Look:
        """Return what there is to see in `photo`, (H, W, 3) uint8 RGB; `by_both`: the second detector looks too."""
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
        others = _fainter(self.second_detector).detect(photo) if self.second_detector and by_both else []
        all_read = [reading.face for reading in readings]
        return Look(sha256, rotated, photo, upright, turned, Similarities(photo), all_read, others)

    def detections(self, look: Look, known: Sequence[Face] | None) -> list[Detection]:
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
        own += [face for face in _seen_by_second(look) if not _is_covered(face, (*known, *own))]
        self._look_at(look, [*known, *own])
        animals = [face for face in (*known, *own) if look.kinds[face] == "animal"]
        own = [face for face in own if not self._is_nothing(look, face)]
        return self.detections_of(look, [*known, *own, *self._read_anew(look, animals)], len(known))

    def _is_nothing(self, look: Look, face: Face) -> bool:
        """Return whether only the first detector takes it for a face, and hardly, where the second could see it too."""
        if self.second_detector is None or face not in look.upright or look.kinds[face] == "human":
            return False
        within_reach = face.size_px >= _reach(look.pixels, self.second_detector)
        return face.score < _threshold(self.detector) and within_reach and not _at(face, look.others)

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
        others = [face for face in new if face in look.others]
        seen = [face for face in new if face not in others]
        look.kinds.update(zip(seen, self._kinds(look.pixels, seen), strict=True))
        look.kinds.update(zip(others, self.opinion.kinds(look.pixels, others, NO_SCORE), strict=True))

    def detections_of(self, look: Look, faces: Sequence[Face], known: int = 0) -> list[Detection]:
        """Return what is in doubt about each of `faces`, the first of which are `known`."""
        self._look_at(look, faces)
        return [self._detection(look, face, number < known) for number, face in enumerate(faces)]

    def worth_judging(self, copy: Look, known: Sequence[Face]) -> list[Face]:
        """Return the faces of the published photo: the sure ones, and fainter ones that are known or look human."""
        sure = [face for face in copy.upright if face.score >= _threshold(self.detector)]
        faint = [face for face in (*copy.upright, *_seen_by_second(copy)) if face not in sure]
        new = [face for face in faint if not _at(face, known)]
        self._look_at(copy, new)
        human = [face for face in new if copy.kinds[face] == "human"]
        worth = [*sure, *copy.turned]
        for face in faint:
            if _among(face, known) or (face in human and not _is_covered(face, worth)):
                worth.append(face)
        return worth

    def only_in_copy(self, copy: Look, faces: Sequence[Face]) -> list[Detection]:
        """Return what is in doubt about faces that only the published photo shows."""
        self._look_at(copy, faces)
        return [
            Detection(face, ONLY_IN_COPY if is_human else ANIMAL, is_human or self._is_sure(copy, face), False)
            for face, is_human in ((face, copy.kinds[face] == "human") for face in faces)
        ]

    def _kinds(self, photo: Pixels, faces: Sequence[Face]) -> list[Kind]:
        return self.opinion.kinds(photo, faces, _threshold(self.detector))

    def _detection(self, look: Look, face: Face, known: bool) -> Detection:
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
        return Detection(face, words, human or self._is_sure(look, face), known)

    def _is_sure(self, look: Look, face: Face) -> bool:
        return face.score >= SURE and face not in look.others


def load_second_detector(providers: Sequence[Provider]) -> CenterFace:
    """Return the second detector that comes with uncnn. Raises DetectorError: it is not what it should be."""
    path, sha256 = second_onnx()
    return centerface.load_onnx(path, providers, sha256=sha256)


def _fainter(detector: Detector) -> Detector:
    """Return the detector with a lower threshold, and other views than the worker's."""
    if isinstance(detector, CenterFace):
        return replace(detector, threshold=FAINTEST_OF_SECOND)
    if not isinstance(detector, RetinaFace):
        return detector
    pixels = round(detector.view_pixels * VIEW_SHARE)
    return replace(detector, threshold=FAINTEST, view_pixels=pixels, largest_scale=LARGEST_SCALE)


def _threshold(detector: Detector) -> float:
    return detector.threshold if isinstance(detector, RetinaFace) else DEFAULT_THRESHOLD


def _seen_by_second(look: Look) -> list[Face]:
    return [face for face in look.others if face.score >= centerface.THRESHOLD]


def _reach(photo: Pixels, detector: Detector) -> float:
    """Return the size from which on faces of `photo` are found, in its pixels."""
    pixels = detector.view_pixels if isinstance(detector, RetinaFace | CenterFace) else photo.shape[0] * photo.shape[1]
    scale: float = (photo.shape[0] * photo.shape[1] / pixels) ** 0.5
    return READABLE_PX * max(scale, 1.0)


def _among(face: Face, others: Sequence[Face]) -> bool:
    return any(same_face(face, other) for other in others)


def _at(face: Face, others: Sequence[Face]) -> bool:
    """Return whether one of `others` lies where `face` does, however it is read."""
    return any(Reading(face, 0).is_at(Reading(other, 0)) for other in others)


def _is_covered(face: Face, others: Sequence[Face]) -> bool:
    """Return whether one of `others` is this face: not a larger one beside it, as people in a crowd have."""
    box = np.array(face.box, np.float32)
    for other in others:
        apart = np.mean(face.landmarks, axis=0) - np.mean(other.landmarks, axis=0)
        if np.linalg.norm(apart) < SAME_PLACE * min(face.size_px, other.size_px):
            return True
        if overlap(box, np.array([other.box], np.float32))[0] >= centerface.SAME_FACE_IOU:
            return True
    return False


def _tilt(face: Face) -> float:
    return Reading(face, 0).tilt
