"""What was done before and holds again: a published copy that was put back, the same picture under another name.

Nothing here is taken on the ledger's word alone: bytes that are published again are read again, and must still be those
that the verifier passed.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from uncnn.daemon.files.kept import kept_file
from uncnn.daemon.files.publish import PublishError, Snapshot, snapshot
from uncnn.daemon.ledger import Job, Ledger
from uncnn.daemon.people.store import people_file
from uncnn.daemon.protect.content import Content
from uncnn.daemon.text import printable
from uncnn.exporters.registry.store import Roster


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """What became of another photo, or of this one before, which holds for this one now."""

    decision: Literal["publish", "hold", "skip"]
    reason: str
    earlier: Job
    candidate: Content | None = None  # a copy of the bytes that were judged, where there still is one
    sha256: str = ""  # theirs
    fingerprint: str | None = None  # of the picture in them


def made_with(roster: Roster) -> str:
    """Return the sha256 of all that a verdict depends on besides the photo and its policy.

    That is the models with their thresholds, the enrolled people, and uncnn itself. An attack that was installed from
    elsewhere is not in it: what it protected once stays protected, and what it did not, a person may try again.

    Raises OSError: the people cannot be read.
    """
    people = people_file()
    enrolled = people.read_bytes() if people.exists() else b""
    parts = (_version(), roster.digest(), hashlib.sha256(enrolled).hexdigest())
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def made_for(job: Job, made_with: str) -> str:
    """Return `made_with` where no person decided anything about this one photo, else a digest of both.

    What became of a photo by such a decision holds for no other one, and not for itself once the decision is another.
    """
    said: list[Any] = [[each.kind, each.box] for each in job.decisions]
    said += [job.strength] if job.strength is not None else []
    return hashlib.sha256(f"{made_with} {json.dumps(said)}".encode()).hexdigest() if said else made_with


@cache
def _version() -> str:
    return version("uncnn")


def find_published_copy(ledger: Ledger, job: Job) -> EarlierResult | None:
    """Return of which photo `job` is the published copy, where no person asked for it all the same.

    It is known by its content, and by its picture once it was decoded: its metadata may have been edited.
    """
    original = None if job.asked else ledger.pictures.original(job.sha256, job.fingerprint)
    if original is None:
        return None
    on = f"{original.changed.astimezone():%Y-%m-%d}"
    edited = "" if job.sha256 == original.released_sha256 else " with other metadata"
    reason = f"this is the published copy of {_name(ledger, original)}{edited}, of {on} ({original.reason})"
    return EarlierResult("skip", f"{reason}: not cloaked again; {_retry_hint(job)}", original)


def find_same_picture(ledger: Ledger, job: Job, metadata: str, spool: Path) -> EarlierResult | None:
    """Return what became of the same picture under the same policy and models; None: it is to be found out.

    Its verified bytes, where they still stand as they were published, are copied into `spool`. Where the policy keeps
    any `metadata`, they are those of this photo only if its file was the same too. What was held is held again, as it
    would be after minutes, unless a person asked for this photo.
    """
    for earlier in ledger.pictures.released(job):
        if metadata != "none" and earlier.sha256 != job.sha256:
            continue
        copy = _verified_copy(ledger, earlier, spool)
        if copy is not None:
            first = ledger.job(earlier.same_as) if earlier.same_as is not None else earlier
            assert first is not None  # rows are never removed
            words = f"the same picture as {_name(ledger, first)}, whose verified copy is published again"
            return EarlierResult(
                "publish",
                f"{first.reason}: {words}",
                first,
                Content(copy.path),
                copy.sha256,
                earlier.released_fingerprint,
            )
    held = None if job.asked or job.anyway else ledger.pictures.held(job)
    if held is None or held.held is None:
        return None
    kept = _judged_copy(held, spool) if metadata == "none" or held.sha256 == job.sha256 else None
    judged = (
        (None, "", None) if kept is None else (Content(kept), held.released_sha256 or "", held.released_fingerprint)
    )
    if held.id == job.id:
        return EarlierResult("hold", held.held, held, *judged)
    same = f"the same picture as {_name(ledger, held)}, which was held"
    return EarlierResult("hold", f"{held.held}: {same}; {_retry_hint(job)}", held, *judged)


def find_judged_copy(job: Job, spool: Path) -> EarlierResult | None:
    """Return that the judged copy of a photo, which a person released, is to be published; None: it is not kept."""
    copy = _judged_copy(job, spool) if job.anyway else None
    if copy is None or job.released_sha256 is None:
        return None
    return EarlierResult(
        "publish", released_words(job), job, Content(copy), job.released_sha256, job.released_fingerprint
    )


def released_words(job: Job) -> str:
    """Return why a photo that was held is published."""
    return f"{job.held or job.reason}; a person published it all the same"


def _judged_copy(job: Job, spool: Path) -> Path | None:
    """Return a copy in `spool` of the judged copy that is kept of a photo, or None."""
    file = kept_file(job.kept)
    if file is None:
        return None
    with suppress(PublishError):
        taken = snapshot(file.parent, Path(file.name), spool)
        if taken.sha256 == job.released_sha256:
            return taken.path
        taken.path.unlink()
    return None


def _verified_copy(ledger: Ledger, earlier: Job, spool: Path) -> Snapshot | None:
    """Return a copy of what was published of a photo, or None where it is gone or no longer what was verified."""
    if earlier.published is None:
        return None
    _, folder = ledger.folders.paths(earlier.folder)
    with suppress(PublishError):  # whatever it is: the photo is cloaked, which needs none of it
        taken = snapshot(folder, earlier.published, spool)
        if taken.sha256 == earlier.released_sha256:
            return taken
        taken.path.unlink()
    return None


def _name(ledger: Ledger, job: Job) -> str:
    return printable(ledger.folders.paths(job.folder)[0] / job.relative)


def _retry_hint(job: Job) -> str:
    return f"to cloak it anyway: uncnn-daemon retry {job.id}"
