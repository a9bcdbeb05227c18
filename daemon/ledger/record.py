"""One photo of the ledger, where its files lie and its verdict, for somebody who only reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.ledger.rows import Job, job_of
from uncnn.daemon.ledger.view import opened

_RECORD: Final = (
    "SELECT jobs.*, watch, publish, rosters.content AS roster, verdicts.content AS verdict FROM jobs"
    " JOIN folders ON folders.id = folder LEFT JOIN verdicts ON verdicts.job = jobs.id"
    " LEFT JOIN rosters ON rosters.id = verdicts.roster WHERE jobs.id = ?"
)


@dataclass(frozen=True, slots=True)
class Record:
    """A photo, as the ledger has it."""

    job: Job
    watch: Path
    publish: Path
    proof: tuple[str, bytes] | None  # the models and the verdict: see `verify.keeping`


def record(file: Path, number: int) -> Record | None:
    """Return the photo of a number, None where there is none. Raises LedgerError."""
    with opened(file) as database:
        rows = [] if database is None else database.rows(_RECORD, (number,))
    for row in rows:
        proof = (row["roster"], row["verdict"]) if row["verdict"] is not None else None
        return Record(job_of(row), Path(os.fsdecode(row["watch"])), Path(os.fsdecode(row["publish"])), proof)
    return None
