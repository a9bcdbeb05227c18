"""The path of a photo: look, cloak, verify, escalate, decide."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.ledger.decisions import NOT_A_PERSON, FaceDecision
from uncnn.daemon.people.store import People, read_people
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.engine import Engine
from uncnn.daemon.protect.messages import AttackChoice, Change, Judge, Look, Looked, Next, Review, Terms
from uncnn.daemon.protect.wire import Report, Stage
from uncnn.daemon.verify.statement import (
    asked_for_words,
    doubt_words,
    is_large,
    left_words,
    protected_words,
    unprotected_words,
)
from uncnn.daemon.verify.verdict import Verdict
from uncnn.plugins.api import Face
from uncnn.plugins.registry import STRENGTHS, asks_for_people

EXTRA_ROUNDS = 2  # for faces that the worker did not find and the verifier did


@dataclass(frozen=True, slots=True)
class PhotoJob:
    """A photo that is to be protected, and all that its outcome depends on besides the models."""

    photo: Content
    name: str  # what a person calls it
    policy: Policy
    people: People = field(default_factory=People)  # who are enrolled
    decisions: tuple[FaceDecision, ...] = ()  # of a person, about single faces of this one photo


@dataclass(frozen=True, slots=True)
class Detected:
    """What there is in a photo, and when work on it began."""

    looked: Looked
    began: float  # monotonic


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to become of one photo, and why."""

    decision: Literal["publish", "hold", "skip"]
    reason: str
    candidate: Content  # what was verified
    verdict: Verdict
    strengths: tuple[str, ...]  # a face of the verdict each; "" where it was not cloaked
    photo_format: str
    notes: tuple[str, ...]
    seconds: float

    @property
    def sha256(self) -> str:
        """Return that of the candidate."""
        return self.verdict.sha256

    @property
    def fingerprint(self) -> str | None:
        """Return that of the picture in the candidate."""
        return self.verdict.fingerprint

    @property
    def faces(self) -> int:
        """Return how many faces were to be protected."""
        return sum(face.required for face in self.verdict.faces)

    @property
    def uncertain(self) -> int:
        """Return how many may be faces, or were not seen by both looks."""
        return sum(bool(face.uncertain) for face in self.verdict.faces)

    @property
    def left_uncertain(self) -> int:
        """Return how many of those are as they were in the original."""
        return sum(face.left_in_doubt for face in self.verdict.faces)


@dataclass(slots=True)
class Escalation:
    """How far each face was escalated: its strength at present, by its number."""

    levels: tuple[str, ...]  # strengths, the first one first
    level_of: dict[int, int] = field(default_factory=dict)

    def add(self, faces: Iterable[int]) -> bool:
        """Take up new faces at the first level; return whether there were any."""
        new = [face for face in faces if face not in self.level_of]
        self.level_of.update(dict.fromkeys(new, 0))
        return bool(new)

    def escalate(self, faces: Iterable[int]) -> bool:
        """Put each of `faces` one level higher; return whether any could."""
        able = [face for face in faces if self.level_of[face] + 1 < len(self.levels)]
        for face in able:
            self.level_of[face] += 1
        return bool(able)

    def strength(self, face: int) -> str:
        """Return the strength of a face, "" where it is not cloaked."""
        return self.levels[self.level_of[face]] if face in self.level_of else ""


def detect(engine: Engine, job: PhotoJob, report: Report) -> Detected:
    """Return what there is in a photo before anything is changed: its faces, and which picture it is.

    Raises:
        RequestError: it is no photo. ProcessDied: the engine died of it.
    """
    began = time.monotonic()
    report(Stage("looking for faces"))
    return Detected(engine.look(Look(job.photo, job.name, job.policy.faces.rotated)), began)


def protect(
    engine: Engine, job: PhotoJob, report: Report, following: Iterable[Next] = (), detected: Detected | None = None
) -> Outcome:
    """Return what becomes of a photo; the verdict is on exactly the bytes of the outcome's candidate.

    `following` are photos whose faces may share a batch with it, `detected` what `detect` returned, if it was called.

    Raises:
        RequestError: it is no photo, or a plugin failed. ProcessDied: the engine did.
    """
    detected, policy = detected or detect(engine, job, report), job.policy
    looked, terms = detected.looked, terms_of(policy, job.people, job.decisions)
    reviewed = engine.judge(Review(job.photo, job.name, looked.faces, terms))
    detections, faces = reviewed.detections, [detection.face for detection in reviewed.detections]
    escalation = Escalation(escalation_levels(policy))
    escalation.add(
        number
        for number, (detection, spared) in enumerate(zip(detections, reviewed.spared, strict=True))
        if detection.counts(policy.uncertain) and not spared and detection.face.size_px >= policy.faces.smallest_px
    )
    for attempt in range(len(escalation.levels) + EXTRA_ROUNDS):
        beside = tuple(following) if attempt == 0 else ()  # whether they need a stronger cloak is not known yet
        strengths = tuple(map(escalation.strength, range(len(faces))))
        changed = engine.change(_change(job, faces, strengths, beside), report)
        report(Stage("checking"))
        late = tuple(faces[len(detections) :])
        verdict = engine.judge(Judge(job.photo, changed.candidate, terms, detections, late, changed.moved))
        known, new = verdict.faces[: len(faces)], [face for face in verdict.faces[len(faces) :] if face.required]
        strengths += ("",) * (len(verdict.faces) - len(known))
        faces += [face.face for face in new]
        is_new = escalation.add(number for number, face in enumerate((*known, *new)) if face.required)
        weak = [number for number, face in enumerate(known) if face.required and not face.protected]
        if not escalation.escalate(weak) and not is_new:
            break
    decision, reason = decide(policy, verdict)
    seconds = time.monotonic() - detected.began
    notes = (*looked.notes, *changed.notes)
    return Outcome(decision, reason, changed.candidate, verdict, strengths, looked.format, notes, seconds)


def escalation_levels(policy: Policy) -> tuple[str, ...]:
    """Return every strength from the policy's first one up to the strongest of its `escalate`."""
    order = tuple(STRENGTHS)
    first, last = order.index(policy.attack.strength), max(map(order.index, policy.escalate), default=0)
    return order[first : max(first, last) + 1]


def next_strength(strengths: Iterable[str]) -> str | None:
    """Return the weakest strength beyond all of these, "" being none; None: the strongest is among them."""
    order = ("", *STRENGTHS)
    return next(iter(order[max(map(order.index, strengths), default=0) + 1 :]), None)


def decide(policy: Policy, verdict: Verdict) -> tuple[Literal["publish", "hold", "skip"], str]:
    """Return what the policy does with a photo of this verdict, and the reason in one line."""
    decision, reason = _decided(policy, verdict)
    return decision, "; ".join((reason, *verdict.unapplied))


def _decided(policy: Policy, verdict: Verdict) -> tuple[Literal["publish", "hold", "skip"], str]:
    required = [face for face in verdict.faces if face.required]
    doubtful = [face for face in verdict.faces if face.uncertain and not face.spared and is_large(policy, face)]
    if doubtful and policy.uncertain == "hold":
        return "hold", f"{doubt_words(doubtful)}: held (policy uncertain: hold)"
    rest = left_words(policy, verdict)
    if not required:
        if any(face.spared and face.decided != NOT_A_PERSON for face in verdict.faces):
            return "publish", rest
        words = {"publish": "published with its metadata cleaned", "hold": "held", "skip": "skipped"}
        found = f"{'no sure face' if doubtful else 'no face'} found{f', {rest}' if rest else ''}"
        return policy.no_face, f"{found}: {words[policy.no_face]} (policy no_face: {policy.no_face})"
    if verdict.protected:
        doubts = [face for face in required if face.uncertain]
        also = f"; among them {doubt_words(doubts)}" if doubts else ""
        return "publish", f"{protected_words(verdict)}{also}{f'; {rest}' if rest else ''}"
    reason = unprotected_words(verdict)
    doubts = [face for face in required if face.uncertain and not face.protected]
    if doubts:
        reason += f"; in doubt: {doubt_words(doubts)}"
    if asked := asked_for_words(verdict):
        reason += f"; {asked}"
    if policy.unprotected == "publish-anyway":
        return "publish", f"{reason}; published all the same (policy unprotected: publish-anyway)"
    return "hold", reason


def _change(job: PhotoJob, faces: Sequence[Face], strengths: tuple[str, ...], beside: tuple[Next, ...]) -> Change:
    policy = job.policy
    return Change(
        job.photo,
        job.name,
        policy.faces.rotated,
        tuple(faces),
        strengths,
        attack_of(policy, job.people),
        policy.output.written_as,
        policy.output.quality,
        policy.metadata,
        policy.faces.smallest_px,
        beside,
    )


def people_for(policy: Policy) -> People:
    """Return the enrolled people where `policy` speaks of them, nobody otherwise. Raises PeopleError, FolderError."""
    speaks = policy.faces.who != "all" or asks_for_people(policy.attack.parameters)
    return read_people() if speaks else People()


def attack_of(policy: Policy, people: People) -> AttackChoice:
    """Return which attack the worker is to run, with the enrolled people where it may target them."""
    parameters = policy.attack.parameters
    return AttackChoice(policy.attack.name, parameters, people if asks_for_people(parameters) else People())


def terms_of(policy: Policy, people: People, decisions: tuple[FaceDecision, ...] = ()) -> Terms:
    """Return what the verifier is asked under `policy`, with the enrolled people where it leaves some faces alone.

    `decisions` are a person's about the one photo that is judged.
    """
    return Terms(
        policy.protect.far,
        policy.protect.views,
        policy.protect.margin,
        policy.faces.smallest_px,
        policy.faces.rotated,
        policy.uncertain,
        policy.faces.who,
        People() if policy.faces.who == "all" else people,
        decisions,
    )
