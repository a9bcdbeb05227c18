"""The verdicts in the ledger: what each photo was published or held on, in figures; no picture and no embedding.

They lie in a table of their own, since every scan reads the jobs. `verify.keeping` turns a verdict into a `Proof`; here
it is text and bytes, so that `status` needs nothing of the verifier.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TypeAlias

from uncnn.daemon.ledger.rows import Job

Columns: TypeAlias = dict[str, int | None]
"""What the row of a job says of its verdict, so that `status` counts without reading any."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A verdict as the ledger keeps it."""

    roster: str  # JSON: the models that were asked; one text for all photos of the same models
    content: bytes  # compressed JSON: the figures
    faces: int
    uncertain: int  # faces
    provisional: bool


def keep(connection: sqlite3.Connection, job: Job, proof: Proof) -> Columns:
    """Keep the verdict of a photo in place of an earlier one; the caller holds the transaction."""
    connection.execute("INSERT INTO rosters (content) VALUES (?) ON CONFLICT (content) DO NOTHING", (proof.roster,))
    connection.execute(
        "INSERT OR REPLACE INTO verdicts (job, roster, content) SELECT ?, id, ? FROM rosters WHERE content = ?",
        (job.id, proof.content, proof.roster),
    )
    return {"faces": proof.faces, "uncertain": proof.uncertain, "provisional": int(proof.provisional)}


def keep_too(connection: sqlite3.Connection, job: Job, earlier: Job) -> Columns:
    """Keep for a photo the verdict of an `earlier` one, whose result holds for it; where that has none, none."""
    connection.execute("DELETE FROM verdicts WHERE job = ?", (job.id,))
    connection.execute(
        "INSERT INTO verdicts (job, roster, content) SELECT ?, roster, content FROM verdicts WHERE job = ?",
        (job.id, earlier.id),
    )
    return {name: getattr(earlier, name) for name in ("faces", "uncertain", "provisional")}
