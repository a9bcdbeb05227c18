"""What of the sandbox holds, in words for people and as values for the ledger. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Protection:
    """What of the sandbox holds in a process."""

    landlock: int = 0  # its version; 0: none
    seccomp: bool = False
    memory_bytes: int | None = None
    missing: tuple[str, ...] = ()  # what could not be had, and why

    @classmethod
    def of(cls, values: dict[str, Any]) -> Protection:
        """Return what a process said of itself, as `asdict` gave it."""
        return cls(**{**values, "missing": tuple(values["missing"])})

    @property
    def words(self) -> str:
        """Return it in one line."""
        held = [f"Landlock {self.landlock}"] if self.landlock else []
        held += ["seccomp, no network"] if self.seccomp else []
        held += [f"{self.memory_bytes / 1e9:.0f} GB of memory at most"] if self.memory_bytes else []
        said = f"decoders run in a sandbox: {', '.join(held)}" if held else "decoders run without a sandbox"
        return f"{said}; missing: {', '.join(self.missing)}" if self.missing else said


def held_in_all(protections: Iterable[Protection | None]) -> Protection:
    """Return what holds in every one of several processes; None: one that has not said so is in no sandbox."""
    each = [found or Protection(missing=("not entered",)) for found in protections]
    if not each:
        return Protection(missing=("not entered",))
    memory = [found.memory_bytes for found in each if found.memory_bytes is not None]
    return Protection(
        min(found.landlock for found in each),
        all(found.seccomp for found in each),
        max(memory) if len(memory) == len(each) else None,
        tuple(dict.fromkeys(name for found in each for name in found.missing)),
    )
