"""The verifier process: asks every recogniser about the bytes that would be released. ONNX Runtime, no torch.

Nothing of the attack is used here: other runtime, other warp (Pillow's), the file decoded anew, the faces found anew.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uncnn.daemon.config.policies import Margin
from uncnn.daemon.people.matching import Who, spared
from uncnn.daemon.people.store import read_people
from uncnn.daemon.photos import decode, reencode
from uncnn.daemon.photos.fingerprint import fingerprint
from uncnn.daemon.processes import Handler, Message, Report
from uncnn.daemon.verify.answers import Answers, Likeness, landmarks
from uncnn.daemon.verify.displays import on_displays
from uncnn.daemon.verify.measuring import MEASURES, same_face
from uncnn.daemon.verify.moved import UNMOVED, Moved, read_moved
from uncnn.daemon.verify.opinion import Opinion, opinion_of
from uncnn.daemon.verify.places import Landmarks, places
from uncnn.daemon.verify.second_look import Look, SecondLook, load_second_detector
from uncnn.daemon.verify.sighting import SIGHTINGS, Uncertain
from uncnn.daemon.verify.verdict import FACES, VERDICT, FaceVerdict, Judgement, Verdict
from uncnn.daemon.verify.visibility import check_sizes
from uncnn.exporters.store import Roster
from uncnn.plugins.api import Detector, Face, Pixels, Rotated
from uncnn.plugins.canaries import Canaries
from uncnn.plugins.cards import Embeddings, compare, margin_of
from uncnn.plugins.detectors.retinaface import load_onnx
from uncnn.plugins.detectors.turned import looking
from uncnn.plugins.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.sessions import providers_for

PASSER_BY = 0.6  # of the largest face's size: smaller ones are in the background of a portrait


@dataclass(frozen=True, slots=True)
class Pair:
    """The original and the released photo, and where each face is in both."""

    original: Pixels
    released: Pixels
    faces: list[Face]  # in the original; then those that only the released photo shows
    again: list[Face]  # the same faces as found again, or where the original had them
    found_again: list[bool]


@dataclass(frozen=True, slots=True)
class Spare:
    """Whose faces a policy leaves alone, and the file of the enrolled people."""

    who: Who
    people: Path


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
        found: Sequence[Face] | None = None,
        uncertain: Uncertain = "cloak",
    ) -> Verdict:
        """Return the verdict on the file `released` as a cloak of the file `original`.

        `faces` are those known in the original, of which the worker `found` these by itself; None: all of them. What
        the verifier sees in either photo besides is judged as well. `moved` says how far the first faces were moved;
        `rotated`: whether faces at any in-plane angle are looked for; `margin`: how far
        beyond each threshold they must lie; `uncertain`: what the policy does with those in doubt.

        Raises:
            PhotoError: a file is no photo. UncnnError: the two have different sizes.
        """
        look, photo = self.look(original, "original", rotated), decode(released, "released photo", written_here=True)
        picture, after = fingerprint(photo), photo.pixels
        del photo  # what it stores besides its pixels is as large again
        check_sizes(look.pixels, after, "give the cloaked copy of that original")
        second, sha256 = self.second_look, hashlib.sha256(released).hexdigest()
        sighted = second.sightings(look, found if found is not None else faces)
        first = list(faces or ())
        known = [*first, *(each.face for each in sighted if each.face not in first)]
        again = second.at(sha256, after, rotated, by_both=bool(known))  # where nothing is cloaked nothing can appear
        pair = _paired(look.pixels, after, known, second.worth_judging(again, known))
        sightings = second.told(sighted, look, known) + second.only_in_copy(again, pair.faces[len(known) :])
        judgements = self._judge(pair, look.answers, far, views, margin)
        alone = self.spared(look, pair.faces, far, spare)
        jod, zooms = on_displays(pair.original, pair.released, pair.faces)
        return Verdict(
            sha256,
            far,
            tuple(views),
            tuple(
                FaceVerdict(
                    face,
                    face.size_px >= smallest_px and not left and sighting.counts(uncertain),
                    found_again,
                    tuple(own),
                    left,
                    moved.share(number),
                    sighting.uncertain,
                    zoom,
                )
                for number, (face, found_again, own, left, sighting, zoom) in enumerate(
                    zip(pair.faces, pair.found_again, judgements, alone, sightings, zooms, strict=True)
                )
            ),
            picture,
            margin,
            jod,
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
        return spared(spare.who, read_people(spare.people), self._judges(), far, look.answers.embed, faces)

    def describe(self, photo: Pixels, rotated: Rotated = False) -> Message:
        """Return how many faces a photo shows, without passers-by, and what each recogniser makes of the only one."""
        faces = sorted(looking(self.detector, rotated).detect(photo), key=lambda face: -face.size_px)
        faces = [face for face in faces if face.size_px >= PASSER_BY * faces[0].size_px]
        models = []
        for recogniser in self.recognisers if len(faces) == 1 else ():
            embedding, card = recogniser.embed(photo, landmarks(faces))[0].tolist(), recogniser.card
            models.append({"recogniser": card.name, "sha256": card.sha256, "embedding": embedding})
        return {"faces": len(faces), "models": models}

    def _judges(self) -> list[OnnxRecogniser]:
        return [recogniser for recogniser in self.recognisers if recogniser.card.role == "judge"]

    def _judge(
        self, pair: Pair, answers: Answers, far: float, views: Sequence[str], margin: Margin
    ) -> list[list[Judgement]]:
        """Return each face's judgements: every recogniser in every view, at its worst over where it may be aligned."""
        if not pair.faces:
            return []
        judgements: list[list[Judgement]] = [[] for _ in pair.faces]
        where = places(landmarks(pair.again), landmarks(pair.faces))
        clean = [answers.embed(recogniser, pair.faces) for recogniser in self.recognisers]
        for view in views:
            befores = answers.before(self.recognisers, pair.faces, view)  # one photo is shown at a time
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


def make_verifier(roster: Roster, device: str) -> Handler:
    """Return the handler of the process: `ready`, `look`, `verify`, `whose`, `describe` and those of `MEASURES`.

    Raises:
        CardError, DetectorError, CanaryError: a model is not what it should be.
    """
    providers = providers_for(device)
    recognisers = [OnnxRecogniser.load(model.folder, providers) for model in (*roster.judges, *roster.surrogates)]
    files = roster.detector
    detector = load_onnx(files.onnx, providers, sha256=files.onnx_sha256)
    second = load_second_detector(providers)
    verifier = Verifier(detector, recognisers, opinion_of(recognisers, providers), second_detector=second)
    canaries = Canaries(detector, recognisers, second)

    def handle(request: Message, _report: Report) -> Message:
        if request["do"] == "ready":
            return {"providers": recognisers[0].session.get_providers()}
        canaries.count()
        if request["do"] == "describe":
            photo = decode(Path(request["source"]).read_bytes(), request["name"]).pixels
            return verifier.describe(photo, request.get("rotated", False))
        if request["do"] in MEASURES:
            return MEASURES[request["do"]](verifier.detector, recognisers, request)
        if request["do"] == "look":
            rotated, faces = request["rotated"], FACES.validate_python(request["faces"])
            look = verifier.look(Path(request["source"]).read_bytes(), request["name"], rotated)
            sighted = verifier.second_look.sightings(look, faces)
            return {"sightings": SIGHTINGS.dump_python(sighted, mode="json")}
        if request["do"] == "whose":
            look = verifier.look(Path(request["source"]).read_bytes(), request["name"], request["rotated"])
            faces = FACES.validate_python(request["faces"])
            return {"spared": verifier.spared(look, faces, request["far"], _spare(request))}
        original, rotated = Path(request["original"]).read_bytes(), request.get("rotated", False)
        known, found = _faces(request["faces"]), _faces(request.get("found"))
        if known is None:
            known = found = verifier.found(original, rotated)
        verdict = verifier.verify(
            original,
            Path(request["released"]).read_bytes(),
            request["far"],
            request["views"],
            request["smallest_px"],
            known,
            _spare(request),
            read_moved(request.get("moved")),
            rotated,
            request.get("margin", "calibrated"),
            found,
            request.get("uncertain", "cloak"),
        )
        answer: Message = VERDICT.dump_python(verdict, mode="json")
        return answer

    return handle


def _faces(content: Any) -> list[Face] | None:
    return None if content is None else FACES.validate_python(content)


def _spare(request: Message) -> Spare | None:
    return None if request["who"] == "all" else Spare(request["who"], Path(request["people"]))


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
