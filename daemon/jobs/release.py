"""Where a copy leaves uncnn's own folders: the only caller of `publish`, whoever decided that it may."""

from __future__ import annotations

from pathlib import Path

from uncnn.daemon.files.publish import publish
from uncnn.daemon.files.standing import state_of
from uncnn.daemon.ledger import Job, Ledger, State


def release(
    ledger: Ledger,
    job: Job,
    copy: Path,
    folder: Path,
    wanted: Path,
    sha256: str,
    mode: int | None,
    mtime_ns: int | None,
    reason: str,
) -> tuple[Job, Path]:
    """Publish the bytes in `copy`, which have this `sha256`, as `wanted` below `folder`; write down where they are.

    Returns the job as it is then, and where the file is.

    Raises:
        PublishError: it cannot be published, or is not what was judged. LedgerError, TransitionError.
    """
    placed = publish(copy, folder, wanted, sha256, mode, mtime_ns)
    relative, stands = placed.relative_to(folder), state_of(placed)
    return ledger.move(job, State.PUBLISHED, reason, published=relative, placed=stands), placed
