"""What a person decides about single faces of a photo that is held: they are left as they are, or no longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.files.kept import one_release_at_a_time
from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.jobs.actions import (
    OTHER_COPY,
    AskedError,
    HeldError,
    Step,
    check_original,
    given_again,
    is_shown,
    settle,
)
from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.ledger.decisions import FaceDecision, Kind
from uncnn.daemon.ledger.record import record
from uncnn.daemon.ledger.rows import utc_now, utc_text
from uncnn.daemon.ledger.states import DECIDABLE
from uncnn.daemon.text import printable
from uncnn.daemon.verify.decided import about
from uncnn.daemon.verify.keeping import Kept, kept_of
from uncnn.daemon.verify.verdict import FaceVerdict
from uncnn.plugins.api import Face


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to hold for the faces of these numbers in the verdict on a photo, from 1 on."""

    faces: tuple[int, ...]
    kind: Kind | None  # None: what was decided is taken back; without faces, all of it
    by: str  # where it was decided: the command, or the page
    shown: str | None = None  # sha256 of the copy that the person looked at, where that is known


def leave(photo: str, wish: Wish) -> Step:
    """Keep what a person wants for faces of a photo, given by number, path or name, and queue it to be cloaked again.

    Raises AskedError: there is no such photo or face. LedgerError, FolderError.
    """
    (step,) = settle([photo], (), DECIDABLE, partial(_leave, wish=wish))
    return step


def kept_verdict(number: int) -> Kept | None:
    """Return the verdict that the ledger has of a photo, None where there is none to read. Raises LedgerError."""
    known = record(ledger_file(), number)
    if known is None or known.proof is None:
        return None
    try:
        return kept_of(*known.proof)
    except ValueError:  # an older uncnn's
        return None


def open_faces(faces: Iterable[FaceVerdict]) -> list[tuple[int, FaceVerdict]]:
    """Return the faces that a person may decide about, or did, with their numbers: linked, in doubt, left as asked."""
    return [
        (number, face)
        for number, face in enumerate(faces, 1)
        if face.decided or (not face.spared and (face.uncertain or (face.required and not face.protected)))
    ]


def _leave(ledger: Ledger, job: Job, photo: Path, wish: Wish) -> Step:
    with one_release_at_a_time():
        job = ledger.job(job.id) or job
        if wish.shown is not None and not is_shown(job, wish.shown):
            return Step(photo, job, problem=OTHER_COPY)
        decisions = _decisions(job, wish)
        if decisions == job.decisions:
            return Step(photo, job, problem="nothing was decided about that: there is nothing to take back")
        if wish.kind is not None and job.state is State.HELD:
            try:
                check_original(ledger, job)
            except (HeldError, PublishError) as error:
                return Step(photo, job, problem=str(error))
        return Step(photo, ledger.decide(job, decisions), note=given_again(ledger, job))


def _decisions(job: Job, wish: Wish) -> tuple[FaceDecision, ...]:
    """Return what holds for a photo once a wish is granted. Raises AskedError: it has no such face."""
    if not wish.faces:
        return ()
    faces, decided = _faces(job, wish.faces), utc_text(utc_now())
    earlier = {each for number in wish.faces for each in about(job.decisions, faces, number - 1)}
    left = [each for each in job.decisions if each not in earlier]
    if wish.kind is not None:
        left += [FaceDecision(wish.kind, faces[number - 1].box, wish.by, decided) for number in wish.faces]
    return tuple(left)


def _faces(job: Job, numbers: Sequence[int]) -> list[Face]:
    """Return all faces of the verdict on a photo. Raises AskedError: one of these numbers is not among them."""
    name = printable(job.relative)
    if is_video_name(job.relative.name):
        raise AskedError(f"{name} is a video, whose faces are not decided about one by one: release it or drop it")
    kept = kept_verdict(job.id)
    if kept is None:
        raise AskedError(f"{name} has not been checked yet, so that its faces have no numbers: uncnn-daemon held list")
    faces = [each.face for each in kept.verdict.faces]
    for number in numbers:
        if not 1 <= number <= len(faces):
            known = f"1 to {len(faces)}" if len(faces) > 1 else "1" if faces else "none"
            raise AskedError(f"{name} has no face {number} (its faces: {known}): uncnn-daemon held list names them")
    return faces
