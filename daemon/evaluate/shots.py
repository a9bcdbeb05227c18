"""All photos of an evaluation: each cloaked at every strength, and asked about of every judge."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from uncnn.daemon.config import Policy
from uncnn.daemon.evaluate.cloaking import Cloaking
from uncnn.daemon.evaluate.embedding import embed_distractors, take_copy
from uncnn.daemon.evaluate.judge_commands import Exhibits
from uncnn.daemon.evaluate.judge_process import Aides
from uncnn.daemon.evaluate.plan import LEAST_PEOPLE, LEAST_PHOTOS, EvaluationError, Plan
from uncnn.daemon.evaluate.values import LeftOut, Progress, Sample, Session, Shot
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.text import photos as photos_in_words
from uncnn.daemon.text import printable

SAMPLES: Final = 8  # people in the contact sheet, a face each


def take_shots(
    engine: ProcessEngine, aides: Aides, plan: Plan, policy: Policy, spool: Path, exhibits: Exhibits, progress: Progress
) -> Session:
    """Return every photo of the plan, cloaked and asked about; `exhibits` are laid out for judges that are commands.

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
                    taken = take_copy(photo, Path(own), seen)
                    work = Cloaking(engine, plan, policy, taken.path, name, progress, aides)
                    face = work.face()
                    shots.append(work.shot(person.name, face))
                    exhibits.add_shot(taken.path, name, work.released())
                except LeftOut as reason:
                    words = str(reason)
                    left_out.append(words if words.startswith(name) else f"{name}: {words}")
                    continue
                if len(samples) < SAMPLES and all(sample.person != person.name for sample in samples):
                    samples.append(work.sample(shots[-1], face))
    distractors = embed_distractors(engine, aides, plan, spool, exhibits, progress, left_out)
    return Session(_enough(plan, shots, left_out), tuple(samples), distractors, tuple(left_out))


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
