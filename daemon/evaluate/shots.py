"""Each photo of the evaluation: cloaked by the worker at each strength, and asked about of the verifier.

A photo goes through the processes that a release goes through, without escalation and without a verdict. Only the face
that the photo is of is cloaked and asked about.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import numpy as np

from uncnn.daemon.config import Policy
from uncnn.daemon.crew import Crew
from uncnn.daemon.evaluate.plan import LEAST_PEOPLE, LEAST_PHOTOS, UNCLOAKED, EvaluationError, Plan
from uncnn.daemon.files.publish import PublishError, Snapshot, snapshot
from uncnn.daemon.photos import decode
from uncnn.daemon.processes import Message, RequestError
from uncnn.daemon.verify.verdict import FACE, FACES
from uncnn.daemon.verify.visibility import VISIBILITY, Visibility, face_square
from uncnn.daemon.wording import photos as photos_in_words
from uncnn.daemon.wording import printable
from uncnn.exporters.calibration.patches import main_face
from uncnn.plugins.api import Face, Pixels, UncnnError
from uncnn.plugins.cards import Embeddings

SAMPLES: Final = 8  # people in the contact sheet, a face each

Told: TypeAlias = Mapping[str, Mapping[str, Embeddings]]
"""By judge and view, the embedding (D,) of one face."""


class Progress(Protocol):
    """Hears of each photo that is begun, and of the stage that it is in."""

    def begin(self, name: str) -> None:
        """Hear that the next photo is begun."""
        ...

    def report(self, progress: Message) -> None:
        """Hear of its stage."""
        ...


class LeftOut(UncnnError):
    """A photo that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Take:
    """One photo at one strength, as it would be released."""

    seconds: float  # of the worker, to change the face and to write the file
    found_again: bool  # the detector finds the face on the released bytes
    visibility: Visibility | None  # None: too small for the metrics
    told: Told


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo of a person."""

    person: str
    name: str  # below the folder
    face_px: float
    clean: Mapping[str, Embeddings]  # by judge: the embedding of the original file
    takes: Mapping[str, Take]  # by strength, UNCLOAKED too


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One face to look at: the square of the original, and of what was released at each strength."""

    person: str
    original: Pixels
    released: Mapping[str, Pixels]
    ssimulacra2: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Session:
    """All photos of an evaluation."""

    shots: tuple[Shot, ...]
    samples: tuple[Sample, ...]
    distractors: Mapping[str, Embeddings]  # by judge: (M, D)
    left_out: tuple[str, ...]  # a sentence each


def take_shots(crew: Crew, plan: Plan, policy: Policy, spool: Path, progress: Progress) -> Session:
    """Return every photo of the plan, cloaked and asked about.

    Raises:
        EvaluationError: too few photos show a face. RequestError, ProcessDied: the attack, a model or a process failed.
    """
    shots: list[Shot] = []
    samples: list[Sample] = []
    left_out: list[str] = []
    seen: dict[str, str] = {}
    for person in plan.people:
        for photo in person.photos:
            name = printable(photo.relative_to(plan.folder))
            progress.begin(name)
            with tempfile.TemporaryDirectory(dir=spool) as own:
                try:
                    taken = _taken(photo, Path(own), seen)
                    work = _Work(crew, plan, policy, taken.path, name, progress)
                    face = work.face()
                    shots.append(work.shot(person.name, face))
                except LeftOut as reason:
                    left_out.append(f"{name}: {reason}")
                    continue
                if len(samples) < SAMPLES and all(sample.person != person.name for sample in samples):
                    samples.append(work.sample(shots[-1], face))
    distractors = _distractors(crew, plan, spool, progress, left_out)
    return Session(_enough(plan, shots, left_out), tuple(samples), distractors, tuple(left_out))


def _taken(photo: Path, spool: Path, seen: dict[str, str]) -> Snapshot:
    """Return a private copy of a photo. Raises LeftOut: it cannot be read, or its very bytes came before."""
    real = photo.resolve()
    try:
        taken = snapshot(real.parent, Path(real.name), spool)
    except PublishError as error:
        raise LeftOut(str(error)) from error
    if taken.sha256 in seen:
        raise LeftOut(f"a copy of {seen[taken.sha256]}")
    seen[taken.sha256] = printable(photo.name)
    return taken


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done with one photo."""

    crew: Crew
    plan: Plan
    policy: Policy
    source: Path
    name: str
    progress: Progress

    def face(self) -> Face:
        """Return the face that the photo is of. Raises LeftOut."""
        try:
            looked = self.crew.ask_worker({"do": "look", "source": str(self.source), "name": self.name})
        except RequestError as error:
            if error.kind != "PhotoError":
                raise
            raise LeftOut(str(error)) from error
        faces = FACES.validate_python(looked["faces"])
        if not faces:
            raise LeftOut("no face found")
        width, height = looked["size"]
        face = main_face(faces, (height, width))
        if face.size_px < self.policy.faces.smallest_px:
            least = self.policy.faces.smallest_px
            raise LeftOut(f"its face is {face.size_px:.0f} px, the policy leaves those under {least} px as they are")
        return face

    def shot(self, person: str, face: Face) -> Shot:
        """Return the photo cloaked at every strength, and what the judges make of it. Raises LeftOut."""
        told = self._told(self.source, ["as-is"], face)
        clean = {judge: views["as-is"] for judge, views in embeddings_of(told).items()}
        takes = {strength: self._take(strength, face) for strength in (UNCLOAKED, *self.plan.strengths)}
        return Shot(person, self.name, face.size_px, clean, takes)

    def sample(self, shot: Shot, face: Face) -> Sample:
        """Return the face's square, to be looked at."""
        original = decode(self.source.read_bytes(), self.name).pixels
        square = face_square(face, original.shape) or (slice(None), slice(None))
        released = {
            strength: decode(self._file(strength).read_bytes(), self.name).pixels[square]
            for strength in self.plan.strengths
        }
        shown = {
            strength: take.visibility.ssimulacra2 if take.visibility else None for strength, take in shot.takes.items()
        }
        return Sample(shot.person, original[square], released, shown)

    def _take(self, strength: str, face: Face) -> Take:
        file = self._file(strength)
        started = time.monotonic()
        self._cloak(strength, face, file)
        seconds = time.monotonic() - started
        self.progress.report({"stage": "asking the judges"})
        told = self._told(file, list(self.plan.views), face)
        pair = {"original": str(self.source), "released": str(file), "name": self.name}
        compared = self.crew.ask_verifier({"do": "compare", **pair, "face": FACE.dump_python(face, mode="json")})
        shown = compared["visibility"]
        visibility = None if shown is None else VISIBILITY.validate_python(shown)
        return Take(seconds, told["found"], visibility, embeddings_of(told))

    def _cloak(self, strength: str, face: Face, file: Path) -> None:
        """Write the photo as it would be released. Raises LeftOut: it cannot be written as JPEG."""
        cloaked = [] if strength == UNCLOAKED else [face]
        attack = self.policy.attack
        request = {
            "do": "cloak",
            "source": str(self.source),
            "name": self.name,
            "destination": str(file),
            "faces": FACES.dump_python(cloaked, mode="json"),
            "strengths": [strength for _ in cloaked],
            "attack": {"name": attack.name, "parameters": attack.parameters},
            "format": "JPEG",
            "quality": self.plan.quality,
        }
        try:
            self.crew.ask_worker(request, self.progress.report)
        except RequestError as error:
            if error.kind != "PhotoError":
                raise
            raise LeftOut(str(error)) from error

    def _told(self, file: Path, views: Sequence[str], near: Face) -> Message:
        return _told(self.crew, file, self.name, views, near)

    def _file(self, strength: str) -> Path:
        return self.source.with_name(f"{strength}.released")


def _told(crew: Crew, file: Path, name: str, views: Sequence[str], near: Face | None) -> Message:
    """Return the verifier's answer about one face of a photo. Raises RequestError, ProcessDied."""
    return crew.ask_verifier(
        {
            "do": "embed",
            "source": str(file),
            "name": name,
            "judges": [judge.card.name for judge in crew.roster.judges],
            "views": list(views),
            "near": None if near is None else FACE.dump_python(near, mode="json"),
        }
    )


def embeddings_of(answer: Message) -> dict[str, dict[str, Embeddings]]:
    """Return the embeddings of an answer by judge and view. Raises UncnnError: one is zero or not finite."""
    told: dict[str, dict[str, Embeddings]] = {}
    for judge, views in answer["embeddings"].items():
        for view, values in views.items():
            embedding = np.array(values, dtype=np.float32)
            if not np.isfinite(embedding).all() or not embedding.any():
                raise UncnnError(
                    f"{judge}: its embedding of a face ({view}) is zero or not finite: run "
                    "`uncnn-daemon models check`, or leave it out of `models` in config.yaml"
                )
            told.setdefault(judge, {})[view] = embedding
    return told


def _distractors(crew: Crew, plan: Plan, spool: Path, progress: Progress, left_out: list[str]) -> dict[str, Embeddings]:
    """Return what each judge makes of every distractor, (M, D); those without a face are left out."""
    rows: dict[str, list[Embeddings]] = {}
    for photo in plan.distractors:
        progress.begin(printable(photo.name))
        with tempfile.TemporaryDirectory(dir=spool) as own:
            try:
                taken = _taken(photo, Path(own), {})
                answer = _told(crew, taken.path, printable(photo.name), ["as-is"], None)
                if answer["face"] is None:
                    raise LeftOut("no face found")
            except (LeftOut, RequestError) as error:
                if isinstance(error, RequestError) and error.kind != "PhotoError":
                    raise
                left_out.append(f"distractor {printable(photo.name)}: {error}")
                continue
        for judge, views in embeddings_of(answer).items():
            rows.setdefault(judge, []).append(views["as-is"])
    return {judge: np.stack(own) for judge, own in rows.items()}


def _enough(plan: Plan, shots: Sequence[Shot], left_out: list[str]) -> tuple[Shot, ...]:
    """Return the photos of those who still have two. Raises EvaluationError: too few people do."""
    counts = {person.name: sum(shot.person == person.name for shot in shots) for person in plan.people}
    good = [name for name, count in counts.items() if count >= LEAST_PHOTOS]
    if len(good) < LEAST_PEOPLE:
        reasons = "; ".join(left_out[:3]) or "no photo could be used"
        raise EvaluationError(
            f"{printable(plan.folder)}: {len(good)} of {len(plan.people)} people have {LEAST_PHOTOS} photos that show "
            f"their face, and {LEAST_PEOPLE} are needed ({reasons}): give more photos that show faces"
        )
    left_out += [
        f"{printable(name)}: left out with {photos_in_words(count)} that can be used, {LEAST_PHOTOS} are needed"
        for name, count in counts.items()
        if name not in good
    ]
    return tuple(shot for shot in shots if shot.person in good)
