"""What a person decides about photos in the ledger: another attempt, the judged copy published after all, or dropped.

A run that is at work sees the change and goes by it; without one, the next run does.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from uncnn.daemon.files.folders import ledger_file, named
from uncnn.daemon.files.kept import discard, kept_dir, kept_file, one_release_at_a_time
from uncnn.daemon.files.publish import PublishError, snapshot
from uncnn.daemon.files.workspace import signal_run
from uncnn.daemon.jobs.duplicates import released_words
from uncnn.daemon.jobs.release import release as publish_copy
from uncnn.daemon.ledger import Job, Ledger, State, TransitionError
from uncnn.daemon.ledger.states import NEEDS_PERSON, RETRIABLE
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError
from uncnn.plugins.registry import STRENGTHS

WAITS_FOR_RETRY: Final = frozenset({State.QUARANTINED, State.RETRY, State.BLOCKED})
"""What `retry --all` means: a photo that is held would only be held again."""


class HeldError(UncnnError):
    """A held photo cannot be shown or published."""


class AskedError(UncnnError):
    """A photo was asked for that the ledger does not have, or a state that there is not."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a photo that a person settled."""

    photo: Path
    job: Job
    published: Path | None = None
    problem: str | None = None
    note: str = ""  # what is to be done yet


def retry(
    photos: Sequence[str], every: bool = False, strength: str | None = None, shown: str | None = None
) -> list[Step]:
    """Queue photos again, given by number, path or name; `every`: all that failed or wait.

    `strength` is tried first, whatever the policy says; `shown` as for `release`.

    Raises AskedError: there is no such photo or strength. LedgerError, FolderError.
    """
    if strength is not None and strength not in STRENGTHS:
        raise AskedError(f"--strength {strength!r}: choose one of {', '.join(STRENGTHS)}")
    take = partial(_retry, strength=strength, shown=shown)
    return settle(photos, WAITS_FOR_RETRY if every else (), RETRIABLE, take)


def release(photos: Sequence[str], shown: str | None = None) -> list[Step]:
    """Publish exactly the bytes that were judged of held photos; what is no longer kept is queued to be cloaked again.

    `shown` is the sha256 of the copy that a person looked at, where that is known: no other one is published.

    Raises AskedError: there is no such photo. LedgerError, FolderError.
    """
    return settle(photos, (), {State.HELD}, partial(_release, shown=shown))


def drop(photos: Sequence[str], every: bool = False) -> list[Step]:
    """Be done with photos, and remove their judged copies; `every`: all that wait for a person.

    Raises AskedError: there is no such photo. LedgerError, FolderError.
    """
    return settle(photos, NEEDS_PERSON if every else (), NEEDS_PERSON, _drop)


OTHER_COPY: Final = "the copy that you looked at is no longer the one that is held: look at the photo again"

Take: TypeAlias = Callable[[Ledger, Job, Path], Step]


def settle(photos: Sequence[str], every: Collection[State], able: Collection[State], take: Take) -> list[Step]:
    """Take the step with each of `photos`, or with all that are in a state of `every`."""
    with Ledger(ledger_file()) as ledger:
        jobs = [find(ledger, text, able) for text in photos]
        jobs += [job for state in sorted(every) for job in ledger.jobs(state=state)]
        steps = list(_steps(ledger, {job.id: job for job in jobs}.values(), take))
    signal_run(signal.SIGUSR1)
    return steps


def _steps(ledger: Ledger, jobs: Collection[Job], take: Take) -> Iterator[Step]:
    for job in jobs:
        photo = ledger.folders.paths(job.folder)[0] / job.relative
        try:
            yield take(ledger, job, photo)
        except TransitionError as error:
            yield Step(photo, job, problem=str(error))


def _release(ledger: Ledger, job: Job, photo: Path, shown: str | None = None) -> Step:
    with one_release_at_a_time():
        job = ledger.job(job.id) or job
        kept, wanted, sha256 = kept_file(job.kept), job.published, job.released_sha256
        if shown is not None and not is_shown(job, shown):
            return Step(photo, job, problem=OTHER_COPY)
        if kept is None or job.state is not State.HELD or wanted is None or sha256 is None:
            return Step(photo, ledger.let_go(job), note=_cloaked_again(ledger, job))
        _, folder = ledger.folders.paths(job.folder)
        reason, job = job.reason, ledger.release(job)
        try:
            words = released_words(job)
            job, placed = publish_copy(ledger, job, kept, folder, wanted, sha256, job.mode, job.mtime, words)
        except (PublishError, OSError) as error:
            words = str(error)
            if getattr(error, "kind", "") == "mismatch":
                discard(job.id)
                words = f"its copy was changed: {words}; release it once more to have it cloaked again"
            return Step(photo, ledger.move(job, State.HELD, reason), problem=words)
        discard(job.id)
    return Step(photo, job, placed)


def _drop(ledger: Ledger, job: Job, photo: Path) -> Step:
    job = ledger.drop(job)
    discard(job.id)
    return Step(photo, job)


def _retry(ledger: Ledger, job: Job, photo: Path, strength: str | None = None, shown: str | None = None) -> Step:
    with one_release_at_a_time():
        job = ledger.job(job.id) or job
        if shown is not None and not is_shown(job, shown):
            return Step(photo, job, problem=OTHER_COPY)
        return Step(photo, ledger.again(job, strength), note=given_again(ledger, job))


def is_shown(job: Job, shown: str) -> bool:
    """Return whether a photo is held, and its copy is still the one of this sha256, which a person looked at.

    Raises FolderError.
    """
    return job.state is State.HELD and job.released_sha256 == shown and kept_file(job.kept) is not None


def _cloaked_again(ledger: Ledger, job: Job) -> str:
    given = given_again(ledger, job)
    return f"its copy is no longer stored: {given or 'it will be cloaked again, then published'}"


def given_again(ledger: Ledger, job: Job) -> str:
    """Return how a photo is done again that no service takes up; "" where one does."""
    if not ledger.folders.is_given(job.folder):
        return ""
    folder, output = ledger.folders.paths(job.folder)
    return f"run `uncnn-daemon cloak {printable(folder / job.relative)} -o {printable(output)}`"


@dataclass(frozen=True, slots=True)
class Pair:
    """The original and the judged copy of a held photo, as files."""

    job: Job
    original: Path
    copy: Path


def pair_of(ledger: Ledger, job: Job) -> Pair:
    """Return what is to be shown of a held photo.

    Raises HeldError: it is not held, its judged copy is no longer kept, or the original is another by now.
    """
    name = printable(job.relative)
    if job.state is not State.HELD:
        raise HeldError(f"{name} is {job.state}, not held: uncnn-daemon held list lists the held photos")
    copy = kept_file(job.kept)
    if copy is None:
        raise HeldError(f"the copy of {name} is no longer stored: uncnn-daemon retry {job.id} makes it again")
    return Pair(job, check_original(ledger, job), copy)


def check_original(ledger: Ledger, job: Job) -> Path:
    """Return where the original of a held photo lies, which still is what it was.

    Raises HeldError: it is another by now. PublishError: it cannot be read.
    """
    folder, _ = ledger.folders.paths(job.folder)
    taken = snapshot(folder, job.relative, kept_dir())
    taken.path.unlink(missing_ok=True)
    if taken.sha256 != job.sha256:
        name = printable(job.relative)
        raise HeldError(f"{name} was changed since it was held: uncnn-daemon retry {job.id} cloaks it as it is now")
    return folder / job.relative


def find(ledger: Ledger, text: str, able: Collection[State]) -> Job:
    """Return the photo of this number, path or name; of its versions, the one that the step can be taken with.

    Raises AskedError: there is none, or the step can be taken with several of that name.
    """
    if text.isdecimal():
        found = ledger.job(int(text))
        if found is None:
            raise AskedError(f"there is no photo number {text}: uncnn-daemon jobs --all lists the photos")
        return found
    versions = ledger.jobs_at(named(Path(text)))
    if not versions and Path(text).name == text:
        versions = ledger.jobs_named(text)
    if not versions:
        raise AskedError(
            f"uncnn knows no photo {printable(text)}: give a number, path or name from uncnn-daemon jobs --all"
        )
    photos = {(job.folder, job.relative): job for job in versions if job.state in able}
    if not photos:
        return versions[-1]
    if len(photos) > 1:
        numbers = ", ".join(str(job.id) for job in photos.values())
        raise AskedError(f"{len(photos)} photos are called {printable(text)}: give one of the numbers {numbers}")
    return next(iter(photos.values()))
