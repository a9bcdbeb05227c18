"""What models said of the canaries' pictures when they were last asked, as values. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CanaryAnswers:
    """The models of one process that were asked together: those that said what they must, and those that did not."""

    asked: str  # when: UTC, ISO 8601
    passed: tuple[str, ...]  # names of models
    failed: tuple[str, ...] = ()
    problem: str = ""  # what those that failed said, and what comes of it; "" where all passed
    process: str = ""  # worker or verifier; "" before it is known outside it

    @classmethod
    def of(cls, values: dict[str, Any]) -> CanaryAnswers:
        """Return what `asdict` made values of."""
        return cls(**{**values, "passed": tuple(values["passed"]), "failed": tuple(values["failed"])})
