"""The same picture in several rows of the ledger: under other names, in other folders, or as its own published copy."""

from __future__ import annotations

from uncnn.daemon.ledger.file import Database
from uncnn.daemon.ledger.rows import Job, current, job_of


class Pictures:
    """What the rows of an open ledger have to do with each other. All raise LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, job: Job, fingerprint: str, made_with: str) -> Job:
        """Note what picture a photo is, and a digest of all that its verdict will depend on besides; return its row.

        Why it was held once is forgotten where either differs from then: it says nothing any more.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET held = CASE WHEN fingerprint = ? AND made_with = ? THEN held END,"
                " fingerprint = ?, made_with = ? WHERE id = ?",
                (*(fingerprint, made_with) * 2, job.id),
            )
            return current(connection, job)

    def original(self, sha256: str, fingerprint: str | None = None) -> Job | None:
        """Return the photo whose published copy has this content, or shows this picture; None: there is none.

        It is the one that was cloaked itself. What was published as it came is no copy: it is protected wherever a
        policy asks for that.
        """
        found = self._original("sha256", sha256)
        return found if found or fingerprint is None else self._original("fingerprint", fingerprint)

    def _original(self, name: str, value: str) -> Job | None:
        """Return what was published with this `name`, sha256 or fingerprint: one at a time, each has its own index."""
        query = (
            f"SELECT * FROM jobs WHERE released_{name} = ? AND {name} != released_{name}"
            " AND state IN ('published', 'publishing') ORDER BY same_as IS NOT NULL, id LIMIT 1"
        )
        return next((job_of(row) for row in self._database.rows(query, (value,))), None)

    def released(self, job: Job) -> list[Job]:
        """Return the same picture where the verifier passed it under the same policy and models, in the order it came.

        What went out at a person's word alone is not among it: that was said of one photo.
        """
        return self._like(job, "state = 'published' AND NOT anyway AND id != ?", job.id)

    def held(self, job: Job) -> Job | None:
        """Return the same picture, or the photo itself, where it was held under the same policy and models, or None."""
        return next(iter(self._like(job, "held IS NOT NULL")), None)

    def _like(self, job: Job, wanted: str, *values: int) -> list[Job]:
        query = f"SELECT * FROM jobs WHERE fingerprint = ? AND policy = ? AND made_with = ? AND {wanted} ORDER BY id"
        key = (job.fingerprint, job.policy, job.made_with)
        return [job_of(row) for row in self._database.rows(query, (*key, *values))]
