"""The verifier process: asks every recogniser about the bytes that would be published. ONNX Runtime, no torch.

Nothing of the attack is used here: other runtime, other warp (Pillow's), the file decoded anew, the faces found anew.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from uncnn.daemon.config.policies import Margin
from uncnn.daemon.ledger.decisions import FaceDecision
from uncnn.daemon.people.matching import Who, spared
from uncnn.daemon.people.store import People
from uncnn.daemon.photos import decode, reencode
from uncnn.daemon.photos.fingerprint import fingerprint
from uncnn.daemon.protect.measuring import compare_versions, crop, cut_faces, embed, show
from uncnn.daemon.protect.messages import (
    Compare,
    Crop,
    CutFaces,
    Describe,
    Described,
    Description,
    Embed,
    Explain,
    Judge,
    Loaded,
    LookAhead,
    Portray,
    Ready,
    Review,
    Reviewed,
    Show,
    Terms,
)
from uncnn.daemon.protect.moved import UNMOVED, Moved, read_moved
from uncnn.daemon.protect.recognition import explain, portray
from uncnn.daemon.protect.wire import Ask, Handlers, Report
from uncnn.daemon.verify.decided import applied
from uncnn.daemon.verify.detection import Detection, Uncertain
from uncnn.daemon.verify.displays import on_displays
from uncnn.daemon.verify.opinion import Opinion, opinion_of
from uncnn.daemon.verify.places import Landmarks, places
from uncnn.daemon.verify.second_look import Look, SecondLook, load_second_detector
from uncnn.daemon.verify.similarities import Likeness, Similarities, landmarks
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict
from uncnn.daemon.verify.visibility import check_sizes
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import Detector, Face, Pixels, Rotated
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.geometry import same_face
from uncnn.plugins.recognisers.canaries import Canaries
from uncnn.plugins.recognisers.cards import Embeddings, compare, margin_of
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.sessions import providers_for

BACKGROUND_FACE = 0.6  # of the largest face's size: smaller ones are in the background of a portrait


@dataclass(frozen=True, slots=True)
class Pair:
    """The original and the published photo, and where each face is in both."""

    original: Pixels
    released: Pixels
    faces: list[Face]  # in the original; then those that only the published photo shows
    again: list[Face]  # the same faces as found again, or where the original had them
    found_again: list[bool]


@dataclass(frozen=True, slots=True)
class Spare:
    """Whose faces a policy leaves alone, and which ones a person wants left as they are."""

    who: Who
    people: People
    decisions: Sequence[FaceDecision] = ()  # of a person, whoever they are


@dataclass(frozen=True, slots=True)
class Verifier:
    """Recognisers and a detector that stay loaded from photo to photo."""

    detector: Detector
    recognisers: Sequence[OnnxRecogniser]
    opinion: Opinion | None = None  # on what is human; None: that of these recognisers
    memory: dict[str, Look] = field(default_factory=dict)  # of the photo that it is at
    second_detector: Detector | None = None  # that the second look asks too; None: nobody

    def verify(
        self,
        original: bytes,
        released: bytes,
        far: float,
        views: Sequence[str],
        smallest_px: float,
        faces: Sequence[Face] | None = None,
        spare: Spare | None = None,
        moved: Moved = UNMOVED,
        rotated: Rotated = False,
        margin: Margin = "calibrated",
        detections: Sequence[Detection] | None = None,
        late: Sequence[Face] = (),
        uncertain: Uncertain = "cloak",
    ) -> Verdict:
        """Return the verdict on the file `released` as a cloak of the file `original`.

        The first faces of the verdict are those of the original: `detections`, or where nobody looked before what the
        second look shows beside the `faces` that are known. Then come those that only an earlier copy showed, `late`,
        and those that only this one does. `moved` says how far each was moved, in that order; `rotated`: whether faces
        at any in-plane angle are looked for; `margin`: how far beyond each threshold they must lie; `uncertain`: what
        the policy does with those in doubt.

        Raises:
            PhotoError: a file is no photo. UncnnError: the two have different sizes.
        """
        look, photo = self.look(original, "original", rotated), decode(released, "published photo", written_here=True)
        picture, after = fingerprint(photo), photo.pixels
        del photo  # what it stores besides its pixels is as large again
        check_sizes(look.pixels, after, "give the cloaked copy of that original")
        second, sha256 = self.second_look, hashlib.sha256(released).hexdigest()
        if detections is None:
            detections = second.detections(look, faces)
        known = [*(each.face for each in detections), *late]
        same = all(map(np.array_equal, look.pixels, after))  # the same picture shows the same faces
        again = look if same else second.at(sha256, after, rotated, by_both=bool(known))
        pair = _paired(look.pixels, after, known, second.worth_judging(again, known))
        all_detections = [
            *detections,
            *second.detections_of(look, late),
            *second.only_in_copy(again, pair.faces[len(known) :]),
        ]
        judgements = self._judge(pair, look.similarities, far, views, margin)
        alone = self.spared(look, pair.faces, far, spare)
        said = applied(spare.decisions if spare else (), pair.faces, len(detections))
        jod, zooms = on_displays(pair.original, pair.released, pair.faces)
        return Verdict(
            sha256,
            far,
            tuple(views),
            tuple(
                FaceVerdict(
                    face,
                    face.size_px >= smallest_px and not (left or kind) and detection.counts(uncertain),
                    found_again,
                    tuple(own),
                    left or kind is not None,
                    moved.share(number),
                    detection.uncertain if kind is None else "",  # a person says what it is
                    zoom,
                    kind,
                )
                for number, (face, found_again, own, left, kind, detection, zoom) in enumerate(
                    zip(pair.faces, pair.found_again, judgements, alone, said.kinds, all_detections, zooms, strict=True)
                )
            ),
            picture,
            margin,
            jod,
            said.unapplied,
        )

    @property
    def second_look(self) -> SecondLook:
        """Return how an original is looked at without the worker."""
        return SecondLook(self.detector, self.opinion or Opinion.of(self.recognisers), self.second_detector)

    def look(self, original: bytes, name: str, rotated: Rotated) -> Look:
        """Return what this process sees in a file; the last one is kept. Raises PhotoError: it is no photo."""
        key = f"{hashlib.sha256(original).hexdigest()} {rotated}"
        if key not in self.memory:
            self.memory.clear()
            self.memory[key] = self.second_look.at(key, decode(original, name).pixels, rotated)
        return self.memory[key]

    def found(self, original: bytes, rotated: Rotated) -> list[Face]:
        """Return the faces that a worker would find in a file. Raises PhotoError: it is no photo."""
        return looking(self.detector, rotated).detect(self.look(original, "original", rotated).pixels)

    def spared(self, look: Look, faces: Sequence[Face], far: float, spare: Spare | None) -> list[bool]:
        """Return for each face whether the policy leaves it alone because of whose it is. Raises PeopleError."""
        if spare is None:
            return [False] * len(faces)
        return spared(spare.who, spare.people, self._judges(), far, look.similarities.embed, faces)

    def describe(self, photo: Pixels, rotated: Rotated = False) -> Described:
        """Return how many faces a photo shows, background ones left out, and the embeddings of an only one."""
        faces = sorted(looking(self.detector, rotated).detect(photo), key=lambda face: -face.size_px)
        faces = [face for face in faces if face.size_px >= BACKGROUND_FACE * faces[0].size_px]
        models = []
        for recogniser in self.recognisers if len(faces) == 1 else ():
            embedding, card = recogniser.embed(photo, landmarks(faces))[0].tolist(), recogniser.card
            models.append(Description(card.name, card.sha256, embedding))
        return Described(len(faces), tuple(models))

    def _judges(self) -> list[OnnxRecogniser]:
        return [recogniser for recogniser in self.recognisers if recogniser.card.role == "judge"]

    def _judge(
        self, pair: Pair, similarities: Similarities, far: float, views: Sequence[str], margin: Margin
    ) -> list[list[Judgement]]:
        """Return each face's judgements: every recogniser in every view, at its worst over where it may be aligned."""
        if not pair.faces:
            return []
        judgements: list[list[Judgement]] = [[] for _ in pair.faces]
        where = places(landmarks(pair.again), landmarks(pair.faces))
        clean = [similarities.embed(recogniser, pair.faces) for recogniser in self.recognisers]
        for view in views:
            befores = similarities.before(self.recognisers, pair.faces, view)  # one photo is shown at a time
            afters = self._alike(clean, reencode(pair.released, view), where)
            for recogniser, before, alike in zip(self.recognisers, befores, afters, strict=True):
                worst = recogniser.most_alike(alike)
                for number, row in enumerate(judgements):
                    row.append(_judgement(recogniser, view, float(before[number]), float(worst[number]), far, margin))
        return judgements

    def _alike(self, clean: Sequence[Embeddings], photo: Pixels, places: Sequence[Landmarks]) -> list[Likeness]:
        """Return how like its clean embedding each recogniser finds each face at each of `places`, (places, N)."""
        everywhere, found = np.concatenate(places), []
        for recogniser, own in zip(self.recognisers, clean, strict=True):
            alike = compare(recogniser.card, np.tile(own, (len(places), 1)), recogniser.embed(photo, everywhere))
            found.append(alike.reshape(len(places), -1))
        return found


def make_verifier(roster: Roster, device: str) -> Handlers:
    """Return what the process answers.

    Raises:
        CardError, DetectorError, UnknownDetector, CanaryError: a model is not what it should be.
    """
    providers = providers_for(device)
    recognisers = [OnnxRecogniser.load(model.folder, providers) for model in (*roster.judges, *roster.surrogates)]
    detector = roster.detector.load(device, torch=False)
    second = load_second_detector(providers)
    verifier = Verifier(detector, recognisers, opinion_of(recognisers, providers), second_detector=second)
    folders = {model.card.name: model.folder for model in (*roster.judges, *roster.surrogates)}
    return handlers_of(verifier, device, roster.detector.plugin, folders)


def handlers_of(
    verifier: Verifier, device: str, plugin: str = "", folders: Mapping[str, Path] | None = None
) -> Handlers:
    """Return what a verifier answers; its models are asked about known faces from time to time. Raises CanaryError.

    `plugin` is the name of its detector where that is not RetinaFace. `folders` are those of the recognisers, by name.
    """
    detector, recognisers = verifier.detector, verifier.recognisers
    canaries = Canaries(detector, recognisers, verifier.second_detector, plugin=plugin)

    def counted(handle: Callable[[Any], Any]) -> Callable[[Ask[Any], Report], Any]:
        def handler(asked: Ask[Any], _report: Report) -> Any:
            canaries.count()
            return handle(asked)

        return handler

    providers = tuple(recognisers[0].session.get_providers())
    return {
        Ready: lambda _asked, _report: Loaded(device, providers, canaries.answers),
        LookAhead: counted(partial(_look_ahead, verifier)),
        Review: counted(partial(_review, verifier)),
        Judge: counted(partial(_judge, verifier)),
        Describe: counted(
            lambda asked: verifier.describe(decode(asked.photo.read(), asked.name).pixels, asked.rotated)
        ),
        Embed: counted(partial(embed, detector, recognisers)),
        Compare: counted(compare_versions),
        Crop: counted(crop),
        Show: counted(partial(show, detector)),
        CutFaces: counted(partial(cut_faces, detector)),
        Explain: counted(partial(explain, detector, recognisers, folders or {})),
        Portray: counted(portray),
    }


def _look_ahead(verifier: Verifier, asked: LookAhead) -> None:
    verifier.look(asked.photo.read(), asked.name, asked.rotated)


def _review(verifier: Verifier, asked: Review) -> Reviewed:
    """Return the faces of an original that either look shows, and whether each is left alone."""
    look = verifier.look(asked.photo.read(), asked.name, asked.terms.rotated)
    detections = verifier.second_look.detections(look, asked.faces)
    faces = [each.face for each in detections]
    alone = verifier.spared(look, faces, asked.terms.far, _spare(asked.terms))
    kinds = applied(asked.terms.decisions, faces, len(faces)).kinds
    spared = (left or kind is not None for left, kind in zip(alone, kinds, strict=True))
    return Reviewed(tuple(detections), tuple(spared))


def _judge(verifier: Verifier, asked: Judge) -> Verdict:
    """Return the verdict on a copy."""
    original, terms = asked.original.read(), asked.terms
    return verifier.verify(
        original,
        asked.released.read(),
        terms.far,
        terms.views,
        terms.smallest_px,
        verifier.found(original, terms.rotated) if asked.detections is None else None,
        _spare(terms),
        read_moved(asked.moved),
        terms.rotated,
        terms.margin,
        asked.detections,
        asked.late,
        terms.uncertain,
    )


def _spare(terms: Terms) -> Spare | None:
    nobody = terms.who == "all" and not terms.decisions
    return None if nobody else Spare(terms.who, terms.people, terms.decisions)


def _paired(original: Pixels, released: Pixels, known: Sequence[Face], seen: Sequence[Face]) -> Pair:
    """Match the faces of both photos: each known face with the nearest seen one, then what is only seen."""
    left = list(seen)
    again, found = [], []
    for face in known:
        match = next((other for other in left if same_face(face, other)), None)
        if match is not None:
            left.remove(match)
        again.append(match or face)
        found.append(match is not None)
    extra = [face for face in left if not any(same_face(face, other) for other in known)]
    return Pair(original, released, [*known, *extra], [*again, *extra], [*found, *(True for _ in extra)])


def _judgement(
    recogniser: OnnxRecogniser, view: str, before: float, after: float, far: float, margin: Margin
) -> Judgement:
    card = recogniser.card
    asked = margin_of(card, margin)
    proves_nothing = math.isnan(before) or not card.matches(before, far)  # it does not know the unchanged face either
    linked = proves_nothing or card.links(after, far, asked)
    threshold = card.threshold(far)
    return Judgement(card.name, card.role, card.metric, view, before, after, threshold, linked, asked, card.kind)
