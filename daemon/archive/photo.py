"""One photo of an archive: fetched, cloaked and judged as ever, its copy put, then its record.

`work` and Ray call the same function. Whatever is the matter with a photo is its outcome; only what is the matter with
the machine, the models or a store ends the work.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from uncnn.daemon.archive.manifest import Row
from uncnn.daemon.archive.plan import Plan
from uncnn.daemon.archive.records import (
    COPIES,
    Copy,
    Record,
    done_key,
    error_record,
    forget_error,
    read_record,
    rows_of,
    settle,
)
from uncnn.daemon.archive.stores import Fetched, FolderStore, Missing, Refused, Store, StoreError
from uncnn.daemon.files.spool import SIZE_LIMIT
from uncnn.daemon.jobs.photo_job import ENVIRONMENT, WAITING
from uncnn.daemon.people.store import People
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.engine import Engine
from uncnn.daemon.protect.pipeline import Outcome, PhotoJob, people_for, protect
from uncnn.daemon.protect.wire import Report, RequestError
from uncnn.daemon.text import duration, printable
from uncnn.daemon.verify.figures import verdict_json
from uncnn.plugins.api import UncnnError

PHOTO_SECONDS: Final = 3600.0
"""That a photo may take: one of a crowd on a slow machine."""

ATTEMPTS: Final = 2
"""At a photo that neither it nor the machine is to blame for: a process died, a plugin failed."""

ONCE_MORE_SECONDS: Final = 0.2
"""Between two ends of an engine that takes too long: the first may have met a process that was only being started."""

SUSPECTS: Final = 5
"""So many failures of that kind in a row are the machine's, not theirs."""


class MachineFault(UncnnError):
    """Nothing can be done here at present: the disk, a model, or the processes."""


@dataclass(slots=True)
class Site:
    """All that photos of one plan are done with.

    `end` ends an engine that takes too long over a photo, `start` starts what ended and waits until it has loaded.
    """

    plan: Plan
    source: Store
    destination: Store
    engine: Engine
    spool: Path
    start: Callable[[], object]
    end: Callable[[], None]
    photo_seconds: float = PHOTO_SECONDS
    people: People = field(init=False)
    digest: str = field(init=False)
    suspects: int = 0  # in a row

    def __post_init__(self) -> None:
        """Read the enrolled people where the policy speaks of them. Raises PeopleError, FolderError."""
        self.people = people_for(self.plan.policy)
        self.digest = self.plan.digest


def do_photo(site: Site, row: Row, report: Report, again: bool = False) -> Record:
    """Do one photo, and return its record, which is there then; `again`: although there is one of a failure.

    Raises MachineFault, StoreError.
    """
    with _private_folder(site.spool) as own:
        try:
            fetched = _fetched(site, row, own)
        except Missing as error:
            if isinstance(error, Refused):
                _count_suspect(site, error)
            return settle(site.destination, _failed(site, row, str(error)), None)
        standing = rows_of(site.destination, fetched.sha256, site.digest)
        if row.id in standing:
            key = done_key(fetched.sha256, site.digest, row.id)
            return read_record(site.destination.read(key), key)
        record, copy = _of_same_bytes(site, row, fetched, standing) or _done(site, row, fetched, report)
    try:
        record = settle(site.destination, record, copy)
    except Missing as error:
        record = settle(site.destination, _failed(site, row, str(error), fetched.sha256), None)
    if again and record.status != "error":
        forget_error(site.destination, record)
    return record


def _fetched(site: Site, row: Row, own: Path) -> Fetched:
    """Return the photo in a private file. Raises Missing: it is gone, too large, or not what was planned."""
    if row.size > SIZE_LIMIT:
        words = f"has {row.size / 1e6:.0f} MB, the limit is {SIZE_LIMIT / 1e6:g} MB: make it smaller"
        raise Missing(f"{printable(row.photo)} {words}")
    fetched = site.source.fetch(row.photo, own)
    if fetched.size != row.size:
        words = f"has {fetched.size} bytes, {row.size} when it was planned: plan the archive again"
        raise Missing(f"{printable(row.photo)} {words}")
    return fetched


def _of_same_bytes(site: Site, row: Row, fetched: Fetched, rows: list[str]) -> tuple[Record, Copy | None] | None:
    """Return what became of a photo of the same bytes, with its copy; None: there is none, or its copy is not whole."""
    for other in rows[:1]:
        key = done_key(fetched.sha256, site.digest, other)
        try:
            first = read_record(site.destination.read(key), key)
            copy = site.destination.read(first.copy) if first.copy else None
        except Missing:
            return None
        if copy is not None and hashlib.sha256(copy).hexdigest() != first.copy_sha256:
            return None
        values = {name: getattr(first, name) for name in ("faces", "uncertain", "left_uncertain", "notes", "verdict")}
        same = Record(
            row.photo,
            row.id,
            first.status,
            first.reason,
            site.digest,
            site.plan.version,
            fetched.sha256,
            _copy_key(row) if copy is not None else "",
            first.copy_sha256,
            same_as=first.photo,
            **values,
        )
        return same, _copy(site, row, copy) if copy is not None else None
    return None


def _done(site: Site, row: Row, fetched: Fetched, report: Report) -> tuple[Record, Copy | None]:
    """Return what becomes of a photo that nobody did yet, and its verified copy. Raises MachineFault."""
    failed: UncnnError | OSError
    for _ in range(ATTEMPTS):
        outcome = None
        with _limited(site) as passed:
            try:
                outcome = _protected(site, row, fetched, report)
            except (UncnnError, OSError) as error:
                failed = error
        words = None if outcome is not None else _words_of_photo(failed)
        if passed.is_set() or (outcome is None and words is None):
            site.start()  # outside of the time that a photo has
        if outcome is not None:
            site.suspects = 0
            return _recorded(site, row, fetched, outcome)
        if passed.is_set():
            words = f"it took longer than {duration(site.photo_seconds)}: give it more with --photo-seconds"
        if words is not None:
            return _failed(site, row, words, fetched.sha256), None
    _count_suspect(site, failed)
    return _failed(site, row, str(failed), fetched.sha256), None


def _protected(site: Site, row: Row, fetched: Fetched, report: Report) -> Outcome:
    name = printable(PurePosixPath(row.photo).name)
    return protect(site.engine, PhotoJob(Content(fetched.path), name, site.plan.policy, site.people), report)


def _recorded(site: Site, row: Row, fetched: Fetched, outcome: Outcome) -> tuple[Record, Copy | None]:
    """Return the record of an outcome, and the bytes that were verified. Raises MachineFault: they are others now."""
    is_out = outcome.decision == "publish"
    copy = _verified(outcome) if is_out else None
    record = Record(
        photo=row.photo,
        row=row.id,
        status="published" if is_out else "held" if outcome.decision == "hold" else "skipped",
        reason=outcome.reason,
        digest=site.digest,
        version=site.plan.version,
        sha256=fetched.sha256,
        copy=_copy_key(row) if is_out else "",
        copy_sha256=outcome.sha256 if is_out else "",
        faces=outcome.faces,
        uncertain=outcome.uncertain,
        left_uncertain=outcome.left_uncertain,
        notes=outcome.notes,
        seconds=round(outcome.seconds, 3),
        verdict=dict(verdict_json(outcome.verdict, outcome.strengths)),
    )
    return record, _copy(site, row, copy) if copy is not None else None


def _verified(outcome: Outcome) -> bytes:
    try:
        copy = outcome.candidate.read()
    except OSError as error:
        raise MachineFault(f"a copy cannot be read back: {error}") from error
    if hashlib.sha256(copy).hexdigest() != outcome.sha256:
        raise MachineFault("a copy is not what was verified any more: check the disk, and other programs of this user")
    return copy


def _words_of_photo(error: UncnnError | OSError) -> str | None:
    """Return why a photo failed, None: neither it nor the machine is to blame. Raises MachineFault: the machine is."""
    kind = getattr(error, "kind", "")
    is_photo = isinstance(error, RequestError) and error.fault == "photo"
    wrong = isinstance(error, UncnnError) and error.fault in WAITING
    if (kind in ENVIRONMENT and not is_photo) or wrong or isinstance(error, StoreError):
        raise MachineFault(str(error)) from error
    return str(error) if is_photo else None


def _count_suspect(site: Site, error: Exception) -> None:
    """Count a failure that is nobody's. Raises MachineFault: so many in a row are the machine's."""
    site.suspects += 1
    if site.suspects >= SUSPECTS:
        words = f"{SUSPECTS} photos in a row failed, the last one since {error}"
        raise MachineFault(f"{words}: correct that, then do them again with --retry-errors") from error


def _failed(site: Site, row: Row, reason: str, sha256: str = "") -> Record:
    return error_record(row, reason, site.digest, site.plan.version, sha256)


def _copy(site: Site, row: Row, data: bytes) -> Copy:
    """Return a copy as the policy wants its file; only a folder's photos have a time."""
    output, is_time = site.plan.policy.output, row.stamp.isdigit() and isinstance(site.source, FolderStore)
    return Copy(data, output.mode, int(row.stamp) if output.times == "same" and is_time else None)


def _copy_key(row: Row) -> str:
    return f"{COPIES}{row.copy}"


@contextmanager
def _limited(site: Site) -> Iterator[threading.Event]:
    """End the engine once a photo takes too long; the event says whether it did.

    Nothing is ended any more once the block was left: what is started then goes on.
    """
    over, passed = threading.Event(), threading.Event()

    def end() -> None:
        if over.wait(site.photo_seconds):
            return
        passed.set()
        site.end()
        while not over.wait(ONCE_MORE_SECONDS):
            site.end()

    watching = threading.Thread(target=end, daemon=True)
    watching.start()
    try:
        yield passed
    finally:
        over.set()
        watching.join()


@contextmanager
def _private_folder(spool: Path) -> Iterator[Path]:
    """Give a folder for one photo, 0700; it is gone afterwards. Raises MachineFault: it cannot be made."""
    try:
        folder = tempfile.TemporaryDirectory(dir=spool, ignore_cleanup_errors=True)
    except OSError as error:
        raise MachineFault(f"{printable(spool)} cannot be written: {error.strerror}") from error
    with folder as own:
        yield Path(own)
