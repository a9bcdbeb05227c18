"""The photos that were published, a few at a time, from the ledger: it is only read, the service may be at work."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.ledger import Job, LedgerError
from uncnn.daemon.ledger.file import Database
from uncnn.daemon.ledger.rows import job_of, utc_text
from uncnn.daemon.ledger.schema import MIGRATIONS
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError

PAGE: Final = 200
"""So many rows are read at once: no reading keeps the ledger's log from being emptied."""


class ChoiceError(UncnnError):
    """A folder was named that the ledger does not have."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Released:
    """A photo that was published."""

    job: Job
    watch: Path
    publish: Path
    proof: tuple[str, bytes] | None  # the models and the verdict, as the ledger keeps them

    @property
    def relative(self) -> Path:
        """Return where it was published, below the publish folder."""
        assert self.job.published is not None
        return self.job.published


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of the published photos are looked at."""

    folders: tuple[Path, ...] = ()  # watched or publish folders; none: all of them
    since: datetime | None = None  # when it was published


class Library:
    """The published photos of a ledger. Use it in a `with` block; all raise LedgerError."""

    def __init__(self, file: Path, chosen: Chosen) -> None:
        """Open the ledger to read it. Raises ChoiceError."""
        if not file.exists():
            raise LedgerError(f"there is no ledger {printable(file)}: nothing has been run yet")
        self._database = Database(file, read_only=True)
        try:
            if self._database.version < len(MIGRATIONS):
                remedy = "uncnn-daemon run brings it up to date"
                raise LedgerError(f"the ledger {printable(file)} is that of an older uncnn: {remedy}")
            self._where, self._values = self._condition(chosen)
        except BaseException:
            self._database.close()
            raise

    def photos(self, after: int) -> Iterator[Released]:
        """Yield the photos whose number is larger than `after`, in the order of their numbers."""
        while True:
            query = f"{_SELECT} WHERE {self._where} ORDER BY jobs.id LIMIT {PAGE}"
            page = self._database.rows(query, (after, *self._values))
            yield from map(_released, page)
            if len(page) < PAGE:
                return
            after = page[-1]["id"]

    def count(self, after: int = 0) -> int:
        """Return how many there are whose number is larger than `after`."""
        query = f"SELECT count(*) FROM jobs WHERE {self._where}"
        return int(self._database.rows(query, (after, *self._values))[0][0])

    def __enter__(self) -> Library:
        """Return the library, open."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the ledger."""
        self._database.close()

    def _condition(self, chosen: Chosen) -> tuple[str, tuple[Any, ...]]:
        """Return the condition of a query and its values but the first, the number to go on after.

        The state has a sign, since its index would have every page sorted again.
        """
        where, values = ["jobs.id > ?", "+jobs.state = 'published'", "published IS NOT NULL"], list[Any]()
        if chosen.since is not None:
            where.append("jobs.changed >= ?")
            values.append(utc_text(chosen.since))
        if chosen.folders:
            numbers = self._numbers(chosen.folders)
            where.append(f"folder IN ({', '.join('?' * len(numbers))})")
            values += numbers
        return " AND ".join(where), tuple(values)

    def _numbers(self, folders: Sequence[Path]) -> list[int]:
        found: list[int] = []
        for folder in folders:
            name = os.fsencode(folder)
            rows = self._database.rows("SELECT id FROM folders WHERE watch = ? OR publish = ?", (name, name))
            if not rows:
                known = [_path(row[0]) for row in self._database.rows("SELECT watch FROM folders ORDER BY id")]
                names = ", ".join(dict.fromkeys(map(printable, known))) or "none"
                raise ChoiceError(f"--folder {printable(folder)}: the ledger has no such folder; it has {names}")
            found += [row["id"] for row in rows]
        return found


_SELECT: Final = (
    "SELECT jobs.*, watch, publish, rosters.content AS roster, verdicts.content AS verdict FROM jobs"
    " JOIN folders ON folders.id = folder LEFT JOIN verdicts ON verdicts.job = jobs.id"
    " LEFT JOIN rosters ON rosters.id = verdicts.roster"
)


def _released(row: sqlite3.Row) -> Released:
    proof = (row["roster"], row["verdict"]) if row["verdict"] is not None else None
    return Released(job_of(row), _path(row["watch"]), _path(row["publish"]), proof)


def _path(stored: bytes) -> Path:
    return Path(os.fsdecode(stored))
