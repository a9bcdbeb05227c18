"""One photo at every strength: cloaked by the worker as for a release, without escalation and without a verdict.

Only the face that the photo is of is cloaked and asked about. As installed, the photo goes the whole path of a release:
every face is cloaked, judged and escalated; only the one that it is of is asked about.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from uncnn.daemon.config import Policy
from uncnn.daemon.crew import Crew
from uncnn.daemon.evaluate.aides import NO_AIDES, Aides
from uncnn.daemon.evaluate.embedding import ask_judges, embeddings_of, leaving_out
from uncnn.daemon.evaluate.plan import AS_INSTALLED, UNCLOAKED, Plan
from uncnn.daemon.evaluate.values import LeftOut, Progress, Sample, Shot, Take
from uncnn.daemon.pipeline import attack_request, protect
from uncnn.daemon.processes import Message, Report
from uncnn.daemon.sight import look_request
from uncnn.daemon.verify.jod import JOD
from uncnn.daemon.verify.measuring import read_squares
from uncnn.daemon.verify.verdict import FACE, FACES
from uncnn.daemon.verify.visibility import VISIBILITY
from uncnn.exporters.calibration.patches import main_face
from uncnn.plugins.api import Face


@dataclass(frozen=True, slots=True)
class Cloaking:
    """What is done with one photo."""

    crew: Crew
    plan: Plan
    policy: Policy
    source: Path
    name: str
    progress: Progress
    aides: Aides = NO_AIDES

    def face(self) -> Face:
        """Return the face that the photo is of. Raises LeftOut."""
        with leaving_out():
            looked = self.crew.ask_worker(look_request(self.source, self.name, self.policy.faces.rotated))
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
        told = ask_judges(self.crew, self.aides, self.source, self.name, ["as-is"], face, self.policy.faces.rotated)
        clean = {judge: views["as-is"] for judge, views in embeddings_of(told).items()}
        takes = {strength: self._take(strength, face) for strength in (UNCLOAKED, *self.plan.strengths)}
        return Shot(person, self.name, face.size_px, clean, takes)

    def sample(self, shot: Shot, face: Face) -> Sample:
        """Return the face's square, to be looked at."""
        made = self.source.with_name("squares")
        sources = [self.source, *map(self._file, self.plan.strengths)]
        self.crew.ask_verifier(
            {
                "do": "crop",
                "sources": [str(source) for source in sources],
                "name": self.name,
                "face": FACE.dump_python(face, mode="json"),
                "destination": str(made),
            }
        )
        original, *squares = read_squares(made)
        released = dict(zip(self.plan.strengths, squares, strict=True))
        return Sample(shot.person, original, released, {strength: take.jod for strength, take in shot.takes.items()})

    def released(self) -> dict[str, Path]:
        """Return the file of each strength, once the shot was taken."""
        return {strength: self._file(strength) for strength in (UNCLOAKED, *self.plan.strengths)}

    def _take(self, strength: str, face: Face) -> Take:
        file = self._file(strength)
        if strength == AS_INSTALLED:
            with leaving_out():
                outcome = protect(self.crew, self.source, self.name, self.policy, file.parent, self._reporter(strength))
            outcome.candidate.replace(file)
            take = self._seen(strength, face, file, None, outcome.seconds / max(outcome.faces, 1))
            held = "" if outcome.decision == "publish" else outcome.reason
            return replace(take, held=held, strengths=outcome.strengths)
        started = time.monotonic()
        moved = self._cloak(strength, face, file)
        return self._seen(strength, face, file, moved, time.monotonic() - started)

    def _seen(self, strength: str, face: Face, file: Path, moved: str | None, seconds: float) -> Take:
        """Return what the judges make of a released file, and what it looks like."""
        self._tell(strength, {"stage": f"asking the judges, {strength}", "done": 1, "of": 1})
        told = ask_judges(self.crew, self.aides, file, self.name, self.plan.views, face, self.policy.faces.rotated)
        pair = {"original": str(self.source), "released": str(file), "name": self.name}
        asked = {"do": "compare", **pair, "face": FACE.dump_python(face, mode="json"), "moved": moved}
        shown = self.crew.ask_verifier(asked)
        visibility = None if shown["visibility"] is None else VISIBILITY.validate_python(shown["visibility"])
        jod = JOD.validate_python(shown["jod"])
        return Take(seconds, told["found"], visibility, embeddings_of(told), jod)

    def _reporter(self, strength: str) -> Report:
        return lambda progress: self._tell(strength, {"done": 0, "of": 1, **progress})

    def _cloak(self, strength: str, face: Face, file: Path) -> str | None:
        """Write the photo as it would be released, and return the file of what was moved.

        Raises LeftOut: it cannot be written as JPEG.
        """
        cloaked = [] if strength == UNCLOAKED else [face]
        request = {
            "do": "cloak",
            "source": str(self.source),
            "name": self.name,
            "destination": str(file),
            "faces": FACES.dump_python(cloaked, mode="json"),
            "strengths": [strength for _ in cloaked],
            "attack": attack_request(self.policy),
            "format": "JPEG",
            "quality": self.plan.quality,
            "rotated": self.policy.faces.rotated,
        }
        with leaving_out():
            told = self.crew.ask_worker(request, lambda progress: self._tell(strength, progress))
        moved: str | None = told.get("moved")
        return moved

    def _file(self, strength: str) -> Path:
        return self.source.with_name(f"{strength}.released")

    def _tell(self, strength: str, progress: Message) -> None:
        """Tell how far the photo is, of all its strengths."""
        order = (UNCLOAKED, *self.plan.strengths)
        done = order.index(strength) + progress["done"] / max(progress["of"], 1)
        self.progress.report({"stage": progress["stage"], "done": done, "of": len(order)})
