"""A row of the ledger as a value, and the one way in which it changes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.ledger.decisions import FaceDecision, unpacked
from uncnn.daemon.ledger.states import REPLACEABLE, State, check_transition
from uncnn.daemon.text import printable

_AS_THEY_ARE: Final = (
    *("released_sha256", "released_fingerprint", "fingerprint", "made_with", "held", "same_as"),
    *("faces", "uncertain", "provisional", "placed", "kept", "mode", "mtime", "strength"),
)


@dataclass(frozen=True, slots=True)
class Job:
    """A row: one content of one path under one policy."""

    id: int
    folder: int
    relative: Path
    sha256: str
    policy: str  # its digest
    source: str  # what the file was when it was read
    state: State
    attempts: int
    reason: str
    due: datetime | None
    released_sha256: str | None
    released_fingerprint: str | None  # of the picture in those bytes
    published: Path | None  # below the publish folder
    changed: datetime
    anyway: bool  # a person lets it go though it was held
    dropped: bool  # a person does not want it published
    asked: bool  # a person wants it done, whatever was done before
    fingerprint: str | None  # of the picture, once it was decoded
    made_with: str | None  # a digest of what its verdict depends on besides the picture and the policy
    held: str | None  # why it was not published, found on itself, whatever a person said then
    same_as: int | None  # the row of the same picture, or of the original, whose result holds for this one too
    faces: int | None  # in its verdict; None: none was kept
    uncertain: int | None  # so many of them may be no faces, or were not seen by all
    provisional: int | None  # 1 where judges of one family alone were asked, 0 where not
    placed: str | None  # what the file was when it was published: see `files.standing`
    kept: str | None  # the name of the judged copy that is kept while the photo is held: see `files.kept`
    mode: int | None  # the permissions that this copy is published with; None: the usual ones
    mtime: int | None  # and when it was changed, ns; None: then
    strength: str | None  # that a person wants tried first; None: that of the policy
    decisions: tuple[FaceDecision, ...]  # of a person about its faces


def job_of(row: sqlite3.Row) -> Job:
    """Return the row of the table as a value."""
    published, due = row["published"], row["due"]
    return Job(
        id=row["id"],
        folder=row["folder"],
        relative=Path(os.fsdecode(row["relative"])),
        sha256=row["sha256"],
        policy=row["policy"],
        source=row["source"],
        state=State(row["state"]),
        attempts=row["attempts"],
        reason=row["reason"],
        due=datetime.fromisoformat(due) if due else None,
        published=Path(os.fsdecode(published)) if published is not None else None,
        changed=datetime.fromisoformat(row["changed"]),
        anyway=bool(row["anyway"]),
        dropped=bool(row["dropped"]),
        asked=bool(row["asked"]),
        decisions=unpacked(row["decisions"]),
        **{name: row[name] for name in _AS_THEY_ARE},
    )


def change(connection: sqlite3.Connection, job: Job, state: State, reason: str = "", **values: Any) -> Job:
    """Write the one step of a photo; the caller holds the transaction."""
    check_transition(job.state, state)
    values = {"due": None, **values, "state": state, "reason": printable(reason), "changed": utc_text(utc_now())}
    return write(connection, job, **values)


def write(connection: sqlite3.Connection, job: Job, **values: Any) -> Job:
    """Write columns of a photo that stays in its state; the caller holds the transaction."""
    columns = ", ".join(f"{name} = ?" for name in values)
    connection.execute(f"UPDATE jobs SET {columns} WHERE id = ?", (*values.values(), job.id))
    return current(connection, job)


def supersede(connection: sqlite3.Connection, jobs: Iterable[Job], reason: str) -> list[Job]:
    """Give up those of `jobs` that a newer content may take the place of; the caller holds the transaction."""
    return [change(connection, job, State.SUPERSEDED, reason) for job in jobs if job.state in REPLACEABLE]


def current(connection: sqlite3.Connection, job: Job) -> Job:
    """Return the row of a job as it is by now."""
    return job_of(connection.execute("SELECT * FROM jobs WHERE id = ?", (job.id,)).fetchone())


def jobs_in(connection: sqlite3.Connection, state: State, given: bool = False) -> list[Job]:
    """Return the rows in a state, in the order they came: of watched folders, or of those `given` to `cloak`."""
    query = (
        "SELECT jobs.* FROM jobs JOIN folders ON folders.id = folder WHERE jobs.state = ? AND command = ?"
        " ORDER BY jobs.id"
    )
    return [job_of(row) for row in connection.execute(query, (state, given))]


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def utc_text(time: datetime) -> str:
    """Return a time as the ledger keeps it: texts of one length, in the order of time."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")
