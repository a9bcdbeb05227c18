"""What became of one photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from uncnn.daemon.ledger.doubts import NO_DOUBTS, Doubts
from uncnn.daemon.protect.pipeline import Outcome

Status: TypeAlias = Literal["published", "held", "skipped", "waiting", "error"]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one photo of a command."""

    name: str
    status: Status
    message: str
    published: Path | None = None
    outcome: Outcome | None = None
    taken: bool = True  # whether the ledger knows of it, or will
    suspect: bool = False  # neither the photo nor the machine failed: the attack, a model or a process did
    doubts: Doubts = NO_DOUBTS  # of a photo that was published
    number: int | None = None  # in the ledger
    before: bool = False  # it was done by an earlier run or command
