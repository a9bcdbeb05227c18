"""The path of a photo: look, cloak, verify, escalate, decide."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.crew import Crew
from uncnn.daemon.people.store import people_file
from uncnn.daemon.processes import Message, Report
from uncnn.daemon.sight import Seen, see
from uncnn.daemon.verify.sighting import SIGHTINGS, Sighting
from uncnn.daemon.verify.statement import doubt_words, is_large, left_words, protected_words, unprotected_words
from uncnn.daemon.verify.verdict import FACES, VERDICT, Verdict
from uncnn.plugins.api import Face
from uncnn.plugins.registry import STRENGTHS

EXTRA_ROUNDS = 2  # for faces that the worker did not find and the verifier did


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to become of one photo, and why."""

    decision: Literal["publish", "hold", "skip"]
    reason: str
    candidate: Path  # the file that was verified
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
class Ladder:
    """How strongly each face is cloaked at present."""

    rungs: tuple[str, ...]
    levels: dict[Face, int] = field(default_factory=dict)

    def add(self, faces: Iterable[Face]) -> bool:
        """Take up new faces on the lowest rung; return whether there were any."""
        new = [face for face in faces if face not in self.levels]
        self.levels.update(dict.fromkeys(new, 0))
        return bool(new)

    def climb(self, faces: Iterable[Face]) -> bool:
        """Put each of `faces` one rung higher; return whether any could."""
        able = [face for face in faces if self.levels[face] + 1 < len(self.rungs)]
        for face in able:
            self.levels[face] += 1
        return bool(able)

    def strength(self, face: Face) -> str:
        """Return the strength of a face, "" where it is not cloaked."""
        return self.rungs[self.levels[face]] if face in self.levels else ""


@dataclass(frozen=True, slots=True)
class Next:
    """A copy of a photo whose turn comes soon: its faces may share a batch."""

    source: Path
    name: str


def protect(
    crew: Crew,
    source: Path,
    name: str,
    policy: Policy,
    spool: Path,
    report: Report,
    following: Iterable[Next] = (),
    seen: Seen | None = None,
) -> Outcome:
    """Return what becomes of the photo in the file `source`, which a person knows as `name`.

    The file that would be released is written beside it into `spool`, and the verdict is on exactly those bytes.
    `seen` is what the worker saw in it, where it was asked already.

    Raises:
        RequestError: it is no photo, or a plugin failed. ProcessDied: the worker or the verifier did.
    """
    seen = seen or see(crew, source, name, report, policy.faces.rotated)
    sighted = _second_look(crew, source, name, policy, seen.faces)
    found = [sighting.face for sighting in sighted]
    ladder = Ladder(rungs_of(policy))
    alone = _left_alone(crew, source, name, policy, found)
    wanted = [sighting.face for sighting in sighted if sighting.counts(policy.uncertain)]
    ladder.add(face for face in wanted if face.size_px >= policy.faces.smallest_px and face not in alone)
    candidate = spool / f"{source.stem}.candidate"
    for number in range(len(ladder.rungs) + EXTRA_ROUNDS):
        beside = following if number == 0 else ()  # whether those photos need a stronger cloak is not known yet
        cloaked = crew.ask_worker(_cloak_request(source, name, candidate, policy, ladder, beside), report)
        report({"stage": "checking"})
        known = [*ladder.levels, *(face for face in found if face not in ladder.levels)]
        asked = verify_request(source, candidate, policy, known, cloaked.get("moved"), seen.faces)
        verdict = VERDICT.validate_python(crew.ask_verifier(asked))
        strengths = tuple(ladder.strength(face.face) for face in verdict.faces)
        required = [face for face in verdict.faces if face.required]
        new = ladder.add(face.face for face in required)
        weak = [face.face for face in required if not face.protected and face.face in known]
        if not ladder.climb(weak) and not new:
            break
    decision, reason = decide(policy, verdict)
    seconds = time.monotonic() - seen.began
    notes = (*seen.notes, *cloaked["notes"])
    return Outcome(decision, reason, candidate, verdict, strengths, seen.photo_format, notes, seconds)


def _second_look(crew: Crew, source: Path, name: str, policy: Policy, faces: list[Face]) -> list[Sighting]:
    """Return the faces that the worker found, and after them those that only the verifier sees in the original."""
    asked = {"do": "look", "source": str(source), "name": name, "faces": FACES.dump_python(faces, mode="json")}
    answer = crew.ask_verifier({**asked, "rotated": policy.faces.rotated})
    return SIGHTINGS.validate_python(answer["sightings"])


def _left_alone(crew: Crew, source: Path, name: str, policy: Policy, faces: list[Face]) -> list[Face]:
    """Return the faces that the policy leaves alone because of whose they are."""
    if policy.faces.who == "all" or not faces:
        return []
    asked = {"do": "whose", "source": str(source), "name": name, "faces": FACES.dump_python(faces, mode="json")}
    asked |= {**_whose(policy), "far": policy.protect.far, "rotated": policy.faces.rotated}
    answer = crew.ask_verifier(asked)
    return [face for face, spared in zip(faces, answer["spared"], strict=True) if spared]


def _whose(policy: Policy) -> Message:
    return {"who": policy.faces.who, "people": str(people_file())}


def rungs_of(policy: Policy) -> tuple[str, ...]:
    """Return every strength from the policy's first one up to the strongest of its `escalate`."""
    order = tuple(STRENGTHS)
    first, last = order.index(policy.attack.strength), max(map(order.index, policy.escalate), default=0)
    return order[first : max(first, last) + 1]


def decide(policy: Policy, verdict: Verdict) -> tuple[Literal["publish", "hold", "skip"], str]:
    """Return what the policy does with a photo of this verdict, and the reason in one line."""
    required = [face for face in verdict.faces if face.required]
    doubtful = [face for face in verdict.faces if face.uncertain and not face.spared and is_large(policy, face)]
    if doubtful and policy.uncertain == "hold":
        return "hold", f"{doubt_words(doubtful)}: held (policy uncertain: hold)"
    rest = left_words(policy, verdict)
    if not required:
        if any(face.spared for face in verdict.faces):
            return "publish", rest
        words = {"publish": "released with its metadata cleaned", "hold": "held", "skip": "skipped"}
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
    if policy.unprotected == "publish-anyway":
        return "publish", f"{reason}; released all the same (policy unprotected: publish-anyway)"
    return "hold", reason


def _cloak_request(
    source: Path, name: str, candidate: Path, policy: Policy, ladder: Ladder, following: Iterable[Next]
) -> Message:
    wanted = policy.output.format
    return {
        "do": "cloak",
        "source": str(source),
        "name": name,
        "destination": str(candidate),
        "faces": FACES.dump_python(list(ladder.levels), mode="json"),
        "strengths": [ladder.strength(face) for face in ladder.levels],
        "attack": attack_request(policy),
        "format": wanted if wanted == "same" else wanted.upper(),
        "quality": policy.output.quality,
        "metadata": policy.metadata,
        "next": [{"source": str(each.source), "name": each.name} for each in following],
        "smallest_px": policy.faces.smallest_px,
        "rotated": policy.faces.rotated,
    }


def attack_request(policy: Policy) -> Message:
    """Return which attack the worker is to run, and where it finds the enrolled people that it may be aimed at."""
    attack = policy.attack
    return {"name": attack.name, "parameters": attack.parameters, "people": str(people_file())}


def verify_request(
    original: Path,
    released: Path,
    policy: Policy,
    known: list[Face] | None,
    moved: str | None = None,
    found: list[Face] | None = None,
) -> Message:
    """Return what the verifier is asked under `policy`; where no faces are `known`, None, it has only its own look.

    `moved` is the file that the worker wrote of those that it moved: the first of the known faces. `found` are those of
    them that the worker found by itself: the others were seen by the verifier alone.
    """
    return {
        "do": "verify",
        "original": str(original),
        "released": str(released),
        "far": policy.protect.far,
        "views": list(policy.protect.views),
        "margin": policy.protect.margin,
        "smallest_px": policy.faces.smallest_px,
        "rotated": policy.faces.rotated,
        "uncertain": policy.uncertain,
        "faces": None if known is None else FACES.dump_python(known, mode="json"),
        "found": None if found is None else FACES.dump_python(found, mode="json"),
        "moved": moved,
        **_whose(policy),
    }
