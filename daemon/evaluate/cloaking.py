"""One photo at every strength: cloaked by the worker as for publication, without escalation and without a verdict.

Only the face that the photo is of is cloaked and asked about. As installed, the photo goes the whole way:
every face is cloaked, judged and escalated; only the one that it is of is asked about.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from uncnn.daemon.config import Policy
from uncnn.daemon.evaluate.embedding import ask_judges, embeddings_of, leaving_out
from uncnn.daemon.evaluate.judge_process import NO_AIDES, Aides
from uncnn.daemon.evaluate.plan import AS_INSTALLED, UNCLOAKED, Plan
from uncnn.daemon.evaluate.values import LeftOut, Progress, Sample, Shot, Take
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.measuring import read_squares
from uncnn.daemon.protect.messages import SQUARES, Change, Compare, Crop, Look
from uncnn.daemon.protect.pipeline import PhotoJob, attack_of, people_for, protect
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.wire import Report, Stage
from uncnn.exporters.calibration.patches import main_face
from uncnn.plugins.api import Face


@dataclass(frozen=True, slots=True)
class Cloaking:
    """What is done with one photo."""

    engine: ProcessEngine
    plan: Plan
    policy: Policy
    source: Path
    name: str
    progress: Progress
    aides: Aides = NO_AIDES

    def face(self) -> Face:
        """Return the face that the photo is of. Raises LeftOut."""
        with leaving_out():
            looked = self.engine.look(Look(Content(self.source), self.name, self.policy.faces.rotated))
        if not looked.faces:
            raise LeftOut("no face found")
        width, height = looked.size
        face = main_face(looked.faces, (height, width))
        if face.size_px < self.policy.faces.smallest_px:
            least = self.policy.faces.smallest_px
            raise LeftOut(f"its face is {face.size_px:.0f} px, the policy leaves those under {least} px as they are")
        return face

    def shot(self, person: str, face: Face) -> Shot:
        """Return the photo cloaked at every strength, and the judges' embeddings of its face. Raises LeftOut."""
        embedded = ask_judges(
            self.engine, self.aides, self._photo, self.name, ["as-is"], face, self.policy.faces.rotated
        )
        clean = {judge: views["as-is"] for judge, views in embeddings_of(embedded).items()}
        takes = {strength: self._take(strength, face) for strength in (UNCLOAKED, *self.plan.strengths)}
        return Shot(person, self.name, face.size_px, clean, takes)

    def sample(self, shot: Shot, face: Face) -> Sample:
        """Return the face's square, to be looked at."""
        photos = (self._photo, *(Content(self._file(strength)) for strength in self.plan.strengths))
        made = self.engine.judge(Crop(photos, self.name, face))
        original, *squares = read_squares(self._photo.check_beside(SQUARES, made))
        released = dict(zip(self.plan.strengths, squares, strict=True))
        return Sample(shot.person, original, released, {strength: take.jod for strength, take in shot.takes.items()})

    def released(self) -> dict[str, Path]:
        """Return the file of each strength, once the shot was taken."""
        return {strength: self._file(strength) for strength in (UNCLOAKED, *self.plan.strengths)}

    def _take(self, strength: str, face: Face) -> Take:
        file = self._file(strength)
        if strength == AS_INSTALLED:
            job = PhotoJob(self._photo, self.name, self.policy, people_for(self.policy))
            with leaving_out():
                outcome = protect(self.engine, job, self._reporter(strength))
            _put(outcome.candidate, file)
            take = self._measured(strength, face, file, None, outcome.seconds / max(outcome.faces, 1))
            held = "" if outcome.decision == "publish" else outcome.reason
            return replace(take, held=held, strengths=outcome.strengths)
        started = time.monotonic()
        moved = self._cloak(strength, face, file)
        return self._measured(strength, face, file, moved, time.monotonic() - started)

    def _measured(self, strength: str, face: Face, file: Path, moved: Content | None, seconds: float) -> Take:
        """Return the judges' embeddings of a published file, and how visible its change is."""
        self._tell(strength, Stage(f"asking the judges, {strength}", 1, 1))
        copy, rotated = Content(file), self.policy.faces.rotated
        embedded = ask_judges(self.engine, self.aides, copy, self.name, self.plan.views, face, rotated)
        shown = self.engine.judge(Compare(self._photo, copy, self.name, face, moved))
        return Take(seconds, embedded.found, shown.visibility, embeddings_of(embedded), shown.jod)

    def _reporter(self, strength: str) -> Report:
        return lambda stage: self._tell(strength, stage)

    def _cloak(self, strength: str, face: Face, file: Path) -> Content | None:
        """Write the photo as it would be published, and return what was moved.

        Raises LeftOut: it cannot be written as JPEG.
        """
        cloaked = () if strength == UNCLOAKED else (face,)
        strengths, attack = (strength,) * len(cloaked), attack_of(self.policy, people_for(self.policy))
        rotated = self.policy.faces.rotated
        asked = Change(self._photo, self.name, rotated, cloaked, strengths, attack, "JPEG", self.plan.quality)
        with leaving_out():
            changed = self.engine.change(asked, self._reporter(strength))
        _put(changed.candidate, file)
        return changed.moved

    @property
    def _photo(self) -> Content:
        return Content(self.source)

    def _file(self, strength: str) -> Path:
        return self.source.with_name(f"{strength}.released")

    def _tell(self, strength: str, stage: Stage) -> None:
        """Tell how far the photo is, of all its strengths."""
        order = (UNCLOAKED, *self.plan.strengths)
        done = order.index(strength) + stage.done / max(stage.of, 1)
        self.progress.report(Stage(stage.name, done, len(order)))


def _put(copy: Content, file: Path) -> None:
    """Keep a copy under another name: the next strength's has the same."""
    assert copy.file is not None  # what is handed over as a file comes back as one
    copy.file.replace(file)
