"""The ledger: one durable row for each photo, by folder, relative path, content and policy.

It alone says what became of a photo. Every step is one transaction, committed before the next side effect, so that a
kill at any instant leaves a row that says where to go on. No photo, thumbnail or embedding is in it.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.ledger.decisions import FaceDecision, packed
from uncnn.daemon.ledger.file import Database
from uncnn.daemon.ledger.folders import Folders
from uncnn.daemon.ledger.pictures import Pictures
from uncnn.daemon.ledger.rows import Job, change, current, job_of, jobs_in, supersede, utc_now, utc_text, write
from uncnn.daemon.ledger.states import (
    ATTEMPTS,
    DECIDABLE,
    FINAL,
    IN_WORK,
    LONGEST_WAIT_SECONDS,
    NEEDS_PERSON,
    REPLACEABLE,
    RETRIABLE,
    SETTLED,
    State,
    TransitionError,
    retry_seconds,
)
from uncnn.daemon.ledger.verdicts import Proof, keep, keep_too
from uncnn.daemon.text import printable

_NOT_JUDGED: Final[dict[str, Any]] = dict.fromkeys(
    ("kept", "mode", "mtime", "published", "placed", "released_sha256", "released_fingerprint")
)
"""Of a photo that is to be cloaked anew: nobody is to take the bytes that were judged before for its own."""

_LONGEST_WAIT: Final = timedelta(seconds=LONGEST_WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class Kept:
    """The judged copy of a photo that is held, and what it is published with."""

    kept: str  # its name in the folder of such copies
    released_sha256: str
    released_fingerprint: str | None  # of the picture in it
    published: bytes  # where below the publish folder it is to stand
    mode: int | None  # permissions; None: the usual ones
    mtime: int | None  # when it was changed, ns; None: when it is published


class Ledger:
    """The one writer. Use it in a `with` block."""

    def __init__(self, file: Path) -> None:
        """Open the ledger, and make it where there is none. Raises LedgerError."""
        self.database = Database(file)
        self.folders = Folders(self.database)
        self.pictures = Pictures(self.database)
        try:
            self.database.check()
        except BaseException:
            self.close()
            raise

    def enqueue(self, folder: int, relative: Path, sha256: str, policy: str, source: str) -> Job:
        """Return the row of this content, new or known; what other contents of the path wait for is superseded."""
        key = (folder, os.fsencode(relative), sha256, policy)
        with self.database.transaction() as connection:
            known = _released_before(connection, key)
            if known is not None:
                connection.execute("UPDATE jobs SET source = ? WHERE id = ?", (source, known.id))
                return current(connection, known)
            connection.execute(
                "INSERT INTO jobs (folder, relative, sha256, policy, source, state, changed)"
                " VALUES (?, ?, ?, ?, ?, 'queued', ?)"
                " ON CONFLICT (folder, relative, sha256, policy) DO UPDATE SET source = excluded.source",
                (*key, source, utc_text(utc_now())),
            )
            query = "SELECT * FROM jobs WHERE folder = ? AND relative = ? AND sha256 = ? AND policy = ?"
            job = job_of(connection.execute(query, key).fetchone())
            others = connection.execute(
                "SELECT * FROM jobs WHERE folder = ? AND relative = ? AND id != ?", (*key[:2], job.id)
            )
            for other in map(job_of, others.fetchall()):
                supersede(connection, [other], f"the {'policy' if other.sha256 == sha256 else 'photo'} changed")
            if job.state is State.SUPERSEDED:
                return change(connection, job, State.QUEUED, attempts=0, anyway=False, asked=False, strength=None)
            return job

    def claim(self, job: Job) -> Job:
        """Take a queued photo into work, which spends an attempt; without one left it is quarantined.

        Raises TransitionError: it is not queued, or another claimed it first.
        """
        with self.database.transaction() as connection:
            job = current(connection, job)
            if job.state is State.QUEUED and job.attempts >= ATTEMPTS:
                return change(connection, job, State.QUARANTINED, _used_up(job))
            return change(connection, job, State.RUNNING, job.reason, attempts=job.attempts + 1, same_as=None)

    def move(
        self,
        job: Job,
        state: State,
        reason: str = "",
        *,
        released_sha256: str | None = None,
        released_fingerprint: str | None = None,
        published: Path | None = None,
        placed: str | None = None,
        same_as: Job | None = None,
        proof: Proof | None = None,
        kept: Kept | None = None,
    ) -> Job:
        """Take a photo to its next state and return its row; `same_as`: whose result it is, where not its own.

        `proof` is the verdict that leads there; where the result is another's, that one's is kept for it too. `kept` is
        the judged copy of a photo that is held.

        Raises TransitionError: `job` is no longer what the ledger says, or the state cannot follow.
        """
        with self.database.transaction() as connection:
            now = current(connection, job)
            if now.state is not job.state:
                raise TransitionError(f"{printable(job.relative)} is {now.state} by now, not {job.state}")
            values: dict[str, Any] = {}
            if released_sha256 is not None:
                values |= {"released_sha256": released_sha256, "released_fingerprint": released_fingerprint}
            if published is not None:
                values["published"] = os.fsencode(published)
            if placed is not None:
                values["placed"] = placed
            if proof is not None:
                values |= keep(connection, job, proof)
            if state is State.HELD and now.state is not State.PUBLISHING:
                values |= {"kept": None, "mode": None, "mtime": None} if kept is None else asdict(kept)
            if same_as is not None and same_as.id != job.id:
                values["same_as"] = same_as.id
                values |= keep_too(connection, job, same_as) if state in {State.VERIFIED, State.HELD} else {}
            elif state is State.HELD and now.state is not State.PUBLISHING:
                values["held"] = printable(reason)
            if state is State.VERIFIED and not now.anyway:
                values["held"] = None
            return change(connection, now, state, reason, **values)

    def retry(self, job: Job, reason: str) -> Job:
        """Let a photo wait for another attempt; after its last one it is quarantined."""
        with self.database.transaction() as connection:
            job = current(connection, job)
            if job.attempts >= ATTEMPTS:
                return change(connection, job, State.QUARANTINED, reason)
            wait = timedelta(seconds=retry_seconds(job.attempts, random.random()))
            return change(connection, job, State.RETRY, reason, due=utc_text(utc_now() + wait))

    def give_back(self, job: Job, state: State, reason: str = "") -> Job:
        """Stop work on a photo through no fault of its own: to QUEUED or BLOCKED, its attempt not spent."""
        with self.database.transaction() as connection:
            job = current(connection, job)
            return change(connection, job, state, reason, attempts=max(job.attempts - 1, 0))

    def recover(self, died: bool = True, given: bool = False, videos: bool | None = None) -> list[Job]:
        """Return to the queue what a process had in work; a photo without attempts left is quarantined.

        An attempt is spent where the process `died`, which the photo may have caused. `given`: what commands had in
        work, not what the service had. `videos`: these alone, or all but these.
        """
        with self.database.transaction() as connection:
            left = [
                job
                for state in sorted(IN_WORK)
                for job in jobs_in(connection, state, given)
                if videos is None or is_video_name(job.relative.name) == videos
            ]
            if not died:
                return [change(connection, job, State.QUEUED, attempts=max(job.attempts - 1, 0)) for job in left]
            return [
                change(connection, job, State.QUARANTINED, _used_up(job))
                if job.attempts >= ATTEMPTS
                else change(connection, job, State.QUEUED, "the process that worked on it ended")
                for job in left
            ]

    def wake(self, now: datetime | None = None, blocked: bool = True) -> list[Job]:
        """Queue again what is blocked, where asked, and what waits for an attempt that is due by `now`, None: all.

        What is due later than the longest wait was put off by a clock that has been set back since.
        """
        with self.database.transaction() as connection:
            waiting = [
                job
                for job in jobs_in(connection, State.RETRY)
                if now is None or job.due is None or not timedelta(0) < job.due - now <= _LONGEST_WAIT
            ]
            waiting += jobs_in(connection, State.BLOCKED) if blocked else []
            return [change(connection, job, State.QUEUED, job.reason) for job in waiting]

    def again(self, job: Job, strength: str | None = None) -> Job:
        """Queue at a person's word what is neither published nor on its way, with all attempts before it.

        It is not skipped as a published copy then, nor held because the same picture was. `strength` is tried first,
        that of the policy where None is given; what comes of another one is published only if it is protected.

        Raises TransitionError.
        """
        values: dict[str, Any] = {"attempts": 0, "asked": True, "dropped": False, "strength": strength}
        values |= {} if strength is None else {"anyway": False}
        return self._decided(job, RETRIABLE, State.QUEUED, "queued again with retry", **values)

    def decide(self, job: Job, decisions: Sequence[FaceDecision]) -> Job:
        """Keep what a person decided about the faces of a photo, and queue it as `again` does.

        Whatever a person said of it before as a whole, to publish it all the same, was said of another copy.

        Raises TransitionError: it is published, or being cloaked.
        """
        values: dict[str, Any] = {"attempts": 0, "asked": True, "dropped": False, "anyway": False}
        values["decisions"] = packed(decisions)
        return self._decided(job, DECIDABLE, State.QUEUED, "queued again: a person decided about a face", **values)

    def renew(self, job: Job) -> Job:
        """Queue what a person gives to `cloak` once more, with all attempts before it. Raises TransitionError."""
        with self.database.transaction() as connection:
            job = current(connection, job)
            if job.state in IN_WORK:
                raise TransitionError(f"{printable(job.relative)} is being cloaked: wait for that to end")
            given = "folder IN (SELECT id FROM folders WHERE command)"  # a service's photo stays as it was published
            connection.execute(f"UPDATE jobs SET state = 'superseded' WHERE id = ? AND {given}", (job.id,))
            values: dict[str, Any] = {"attempts": 0, "dropped": False, "anyway": False, "strength": None}
            values |= _NOT_JUDGED if job.state in {State.PUBLISHED, State.HELD} else {}
            return change(connection, current(connection, job), State.QUEUED, "given to cloak again", **values)

    def release(self, job: Job) -> Job:
        """Let the judged copy of what is held be published, at a person's word. Raises TransitionError."""
        return self._decided(job, {State.HELD}, State.PUBLISHING, job.reason, anyway=True)

    def let_go(self, job: Job) -> Job:
        """Queue at a person's word what is held, to be published though it is not protected.

        Raises TransitionError.
        """
        return self._decided(job, {State.HELD}, State.QUEUED, "released with held release", attempts=0, anyway=True)

    def drop(self, job: Job) -> Job:
        """Be done at a person's word with what waits for one; it is not published. Raises TransitionError."""
        return self._decided(job, NEEDS_PERSON, State.SKIPPED, "dropped with held drop", dropped=True)

    def _decided(self, job: Job, before: Collection[State], state: State, reason: str, **values: Any) -> Job:
        with self.database.transaction() as connection:
            job = current(connection, job)
            if job.state not in before:
                raise TransitionError(f"it is {job.state}, not {' or '.join(sorted(before))}")
            if (job.state, state) == (State.HELD, State.QUEUED):
                values |= _NOT_JUDGED
            if job.state is state:
                return write(connection, job, **values)
            return change(connection, job, state, reason, **values)

    def unblock(self, folder: int) -> list[Job]:
        """Queue again what is blocked in a folder."""
        with self.database.transaction() as connection:
            blocked = [job for job in jobs_in(connection, State.BLOCKED) if job.folder == folder]
            return [change(connection, job, State.QUEUED, job.reason) for job in blocked]

    def done(self, folder: int, relative: Path, source: str, policy: str) -> Job | None:
        """Return the row by which nothing is to be done for a file as it is, or None.

        That is one that is settled under this policy, or that was published or skipped under any, unless a person asked
        since to do such photos again.
        """
        query = (
            "SELECT jobs.*, reprocess FROM jobs JOIN folders ON folders.id = folder"
            " WHERE folder = ? AND relative = ? AND source = ? ORDER BY jobs.id DESC"
        )
        for row in self.database.rows(query, (folder, os.fsencode(relative), source)):
            job = job_of(row)
            if job.state in SETTLED and job.policy == policy:
                return job
            if _stands(job, row["reprocess"]):
                return job
        return None

    def supersede(self, jobs: Iterable[Job], reason: str) -> list[Job]:
        """Give up what waits for photos that are gone; what is finished or in work stays as it is."""
        with self.database.transaction() as connection:
            return supersede(connection, [current(connection, job) for job in jobs], reason)

    def jobs(self, folder: int | None = None, state: State | None = None) -> list[Job]:
        """Return the rows of a folder, of a state, or all, in the order they came."""
        wanted = {"folder": folder, "state": state}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given) or "true"
        query = f"SELECT * FROM jobs WHERE {where} ORDER BY id"
        return [job_of(row) for row in self.database.rows(query, tuple(given.values()))]

    def job(self, number: int) -> Job | None:
        """Return the row of this number, or None."""
        found = self.database.rows("SELECT * FROM jobs WHERE id = ?", (number,))
        return job_of(found[0]) if found else None

    def replaceable(self, folder: int) -> list[Job]:
        """Return the rows of a folder that wait for something: those that end where the photo is gone."""
        states = ", ".join(f"'{state}'" for state in sorted(REPLACEABLE - {State.SUPERSEDED}))
        return [
            job_of(row)
            for row in self.database.rows(f"SELECT * FROM jobs WHERE state IN ({states}) AND folder = ?", (folder,))
        ]

    def jobs_at(self, photo: Path) -> list[Job]:
        """Return the rows of an absolute path, in the order they came."""
        query = (
            "SELECT jobs.* FROM jobs JOIN folders ON folders.id = folder WHERE watch = ? AND relative = ?"
            " ORDER BY jobs.changed"
        )
        places = [(os.fsencode(watch), os.fsencode(photo.relative_to(watch))) for watch in photo.parents]
        found = [job_of(row) for place in places for row in self.database.rows(query, place)]
        return sorted(found, key=lambda job: job.changed)

    def jobs_named(self, name: str) -> list[Job]:
        """Return the rows of all photos of a file name, wherever they lie, in the order they came."""
        wanted = os.fsencode(name)
        query = "SELECT * FROM jobs WHERE relative = ? OR substr(relative, -?) = ? ORDER BY changed"
        return [job_of(row) for row in self.database.rows(query, (wanted, len(wanted) + 1, b"/" + wanted))]

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Ledger:
        """Return the ledger, open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def _released_before(connection: sqlite3.Connection, key: tuple[int, bytes, str, str]) -> Job | None:
    """Return the row by which this content of a path was published or skipped under another policy, if that counts.

    Of what is given to `cloak` none does: a person names the policy each time.
    """
    folder, relative, sha256, policy = key
    asked = connection.execute("SELECT reprocess, command FROM folders WHERE id = ?", (folder,)).fetchone()
    if asked is None or asked["command"]:
        return None
    query = "SELECT * FROM jobs WHERE folder = ? AND relative = ? AND sha256 = ? AND policy != ? ORDER BY id DESC"
    found = (job_of(row) for row in connection.execute(query, (folder, relative, sha256, policy)))
    return next((job for job in found if _stands(job, asked[0])), None)


def _stands(job: Job, asked: str) -> bool:
    """Return whether a photo stays as it was done, whatever the policy: a person `asked`, at a time, or never did."""
    return job.state in FINAL and (job.dropped or utc_text(job.changed) >= asked)


def _used_up(job: Job) -> str:
    again = f"no result in {ATTEMPTS} attempts"
    return f"{again}: {job.reason}" if job.reason else f"{again}: work on it ended the process each time"
