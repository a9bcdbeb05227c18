"""After a kill: what stands in a publish folder already is published, the rest is done again."""

from __future__ import annotations

import hashlib
import os
import stat
from itertools import count
from pathlib import Path
from typing import Final

from uncnn.daemon.files.opening import opened_folder, safe_parts, sync_folder
from uncnn.daemon.files.publish import PublishError, numbered
from uncnn.daemon.files.standing import state_of
from uncnn.daemon.ledger import Ledger, State

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def recover(ledger: Ledger, died: bool = True) -> None:
    """Bring the ledger in line with what was done last by a process that died, or that could not write to the ledger.

    Only where no other works on it.

    Cloaking again may give other bytes (another device, another model), which would be published beside the first.

    Raises LedgerError.
    """
    for job in ledger.jobs(state=State.PUBLISHING):
        if job.published is None or job.released_sha256 is None:
            continue
        _, publish_folder = ledger.folders.paths(job.folder)
        placed = find_released(publish_folder, job.published, job.released_sha256)
        if placed is not None:
            stands = state_of(publish_folder / placed)
            ledger.move(job, State.PUBLISHED, job.reason, published=placed, placed=stands)
    ledger.recover(died)


def find_released(folder: Path, relative: Path, sha256: str) -> Path | None:
    """Return where below a publish folder these bytes stand as `relative` or under its numbered names, or None."""
    parts = safe_parts(relative)
    try:
        with opened_folder(folder, parts[:-1]) as opened:
            for number in count(1):
                name = parts[-1] if number == 1 else numbered(parts[-1], number)
                if _sha256(opened, name) == sha256:
                    sync_folder(opened)
                    return relative.with_name(name)
    except (OSError, PublishError):  # the first name that is free, or the folder is not there
        return None
    return None


def _sha256(folder: int, name: str) -> str:
    """Return the sha256 of a regular file in an open folder, "" of anything else. Raises OSError: it is not there."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return ""
    with os.fdopen(os.open(name, _READ, dir_fd=folder), "rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()
