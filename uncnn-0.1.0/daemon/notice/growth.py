"""Whether more needs a person than they were told of: so that nobody is told of one thing twice, or all the time."""

from __future__ import annotations

import time
from typing import Final

QUIET_SECONDS: Final = 60.0


class Growth:
    """Remembers how much was told, and when."""

    def __init__(self) -> None:
        self._told = 0
        self._at = -QUIET_SECONDS

    def is_news(self, number: int) -> bool:
        """Return whether `number` things are more than were told of, at most once a minute; it counts as told then."""
        now = time.monotonic()
        if number <= self._told:
            self._told = number
            return False
        if now - self._at < QUIET_SECONDS:
            return False
        self._told, self._at = number, now
        return True
