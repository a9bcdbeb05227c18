"""What an evaluation ran on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What it ran on, and what it took of it."""

    device: str
    cores: int
    seconds: float  # all in all
    worker_bytes: int | None  # most memory at a time; None where the system does not tell
    verifier_bytes: int | None


def peak_bytes(process: int | None) -> int | None:
    """Return the most memory that a process has held at a time, or None where the system does not tell (Linux does)."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
