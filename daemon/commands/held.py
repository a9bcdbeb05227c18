"""What a person does with a photo that is held: look at it before and after, let the judged copy go, drop it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.files.kept import discard, kept_dir, kept_file, one_release_at_a_time
from uncnn.daemon.files.publish import PublishError, snapshot
from uncnn.daemon.jobs.duplicates import released_words
from uncnn.daemon.jobs.release import release as publish_copy
from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError

_OPENER: Final = "xdg-open"


class HeldError(UncnnError):
    """A held photo cannot be shown or released."""


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a photo that a person settled."""

    job: Job
    published: Path | None = None
    problem: str | None = None
    note: str = ""  # what is to be done yet


def release(ledger: Ledger, job: Job) -> Step:
    """Publish exactly the bytes that were judged; where they are no longer kept, queue the photo to be cloaked again.

    Raises TransitionError: it is not held. LedgerError, FolderError.
    """
    with one_release_at_a_time():
        job = ledger.job(job.id) or job
        kept, wanted, sha256 = kept_file(job.kept), job.published, job.released_sha256
        if kept is None or job.state is not State.HELD or wanted is None or sha256 is None:
            return Step(ledger.let_go(job), note=_cloaked_again(ledger, job))
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
            return Step(ledger.move(job, State.HELD, reason), problem=words)
        discard(job.id)
    return Step(job, placed)


def drop(ledger: Ledger, job: Job) -> Step:
    """Be done with a photo, and remove its judged copy. Raises TransitionError, LedgerError, FolderError."""
    job = ledger.drop(job)
    discard(job.id)
    return Step(job)


def again(ledger: Ledger, job: Job) -> Step:
    """Queue a photo for another attempt. Raises TransitionError, LedgerError."""
    return Step(ledger.again(job), note=_given_again(ledger, job))


def _cloaked_again(ledger: Ledger, job: Job) -> str:
    given = _given_again(ledger, job)
    return f"its copy is no longer stored: {given or 'it will be cloaked again, then published'}"


def _given_again(ledger: Ledger, job: Job) -> str:
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
    folder, _ = ledger.folders.paths(job.folder)
    taken = snapshot(folder, job.relative, kept_dir())
    try:
        if taken.sha256 != job.sha256:
            raise HeldError(f"{name} was changed since it was held: uncnn-daemon retry {job.id} cloaks it as it is now")
    finally:
        taken.path.unlink(missing_ok=True)
    return Pair(job, folder / job.relative, copy)


def page_of(job: Job) -> Path:
    """Return where the comparison of a held photo is written where a person names no other place."""
    return kept_dir() / f"{job.id}.comparison.html"


def open_page(page: Path) -> bool:
    """Open a page in the person's own browser, where there is a desktop; return whether there is."""
    if not sys.stdout.isatty() or not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        return False
    program = shutil.which(_OPENER)
    if program is None:
        return False
    try:
        quiet = subprocess.DEVNULL
        subprocess.Popen([program, str(page)], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    except OSError:
        return False
    return True
