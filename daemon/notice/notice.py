"""What there is to tell a person who is not at the machine: numbers, and names of photos only where that is asked."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.ledger.view import View
from uncnn.daemon.text import photos, printable

TITLE: Final = "uncnn needs your attention"
REMEDY: Final = "uncnn-daemon status shows the details."
NAMED: Final = 5
"""So many photos are named, where names are asked for."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What needs a person at present."""

    photos: int  # that wait for one
    folders: int  # that are blocked
    problem: bool  # all photos wait: the service as a whole cannot work
    named: tuple[str, ...] = ()  # photos and why, only where that is asked for

    @classmethod
    def of(cls, found: View, names: bool = False) -> Notice:
        """Return what a view of the ledger says."""
        named = [f"{printable(each.photo.name)}: {each.reason}" for each in found.concerns[:NAMED]] if names else []
        problem = found.run is not None and bool(found.run.problem)
        return cls(found.concerns_in_all, sum(bool(each.blocked) for each in found.folders), problem, tuple(named))

    @property
    def number(self) -> int:
        """Return how many things need a person."""
        return self.photos + self.folders + self.problem

    def words(self) -> str:
        """Return it in lines."""
        said = (
            [f"{photos(self.photos)} {'waits' if self.photos == 1 else 'wait'} for your decision"]
            if self.photos
            else []
        )
        if self.folders:
            said.append(f"{self.folders} {'folder is' if self.folders == 1 else 'folders are'} blocked")
        if self.problem:
            said.append("all photos are waiting: the service cannot work")
        return "\n".join([f"{'; '.join(said) or 'nothing needs your attention'}.", *self.named, REMEDY])


def notice_file(state: Path) -> Path:
    """Return where the notice lies that is to be sent."""
    return state / "notice.json"


def write_notice(file: Path, notice: Notice) -> None:
    """Write it, 0600, in one rename. Raises OSError."""
    new = file.with_name(f"{file.name}.new")
    opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(opened, "w") as writer:
        json.dump(asdict(notice), writer)
    new.replace(file)


def read_notice(file: Path) -> Notice | None:
    """Return the notice that is to be sent, None where there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        read = json.loads(file.read_bytes())
        named = tuple(str(each) for each in read["named"])
        return Notice(int(read["photos"]), int(read["folders"]), bool(read["problem"]), named)
    return None
