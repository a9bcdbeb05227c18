"""Counts of a run, in a few numbers however long it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

_LONGEST_MS: Final = 5000


@dataclass(slots=True)
class Counts:
    """What became of the frames so far."""

    frames: int = 0
    hidden: int = 0
    masked: int = 0
    began: float = 0.0  # monotonic seconds
    _by_ms: list[int] = field(default_factory=lambda: [0] * (_LONGEST_MS + 1))

    def sent(self, hidden: int, masked: int, arrived: float) -> None:
        """Count a frame that went on, with so many faces hidden and so many changed by masks."""
        now = time.monotonic()
        self.began = self.began or arrived
        self.frames += 1
        self.hidden += hidden
        self.masked += masked
        self._by_ms[min(round((now - arrived) * 1000), _LONGEST_MS)] += 1

    @property
    def seconds(self) -> float:
        """Return how long it has taken."""
        return time.monotonic() - self.began if self.began else 0.0

    def within_ms(self, share: float) -> int:
        """Return the time in which this share of the frames went on."""
        left = share * self.frames
        for milliseconds, count in enumerate(self._by_ms):
            left -= count
            if left <= 0:
                return milliseconds
        return _LONGEST_MS
