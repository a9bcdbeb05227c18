"""What the last audit came to, in a small file of the state folder: `status` reads it, so nothing heavy is imported."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from uncnn.daemon.audit.findings import exit_status, in_words
from uncnn.daemon.text import ago, photos


@dataclass(frozen=True, slots=True)
class LastAudit:
    """The audit that ended last, or was broken off last in good order."""

    ended: datetime
    judged: bool  # with today's models
    photos: int  # that it looked at
    in_all: int  # that were to be looked at
    counts: dict[str, int]  # of what it found, by kind

    def words(self, now: datetime) -> str:
        """Return it in a line."""
        part = "" if self.photos >= self.in_all else f" of {self.in_all}, not finished"
        found = in_words(self.counts) or "all as they were published"
        more = "; uncnn-daemon audit --last lists them" if self.counts else ""
        return f"last audit: {ago(self.ended, now)}, {photos(self.photos)}{part}: {found}{more}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "ended": self.ended.isoformat(timespec="seconds"),
            "judged": self.judged,
            "photos": self.photos,
            "in_all": self.in_all,
            "counts": self.counts,
            "exit_status": exit_status(self.counts),
        }


def last_file(state: Path) -> Path:
    """Return where it lies."""
    return state / "audit.json"


def write_last(state: Path, last: LastAudit) -> None:
    """Write it, 0600, in one rename. Raises OSError."""
    file = last_file(state)
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "w") as writer:
            json.dump(last.as_json(), writer)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def read_last(state: Path) -> LastAudit | None:
    """Return it, None where no audit was run, or what it left cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        read = json.loads(last_file(state).read_bytes())
        return LastAudit(
            datetime.fromisoformat(read["ended"]),
            bool(read["judged"]),
            int(read["photos"]),
            int(read["in_all"]),
            {str(kind): int(number) for kind, number in read["counts"].items()},
        )
    return None
