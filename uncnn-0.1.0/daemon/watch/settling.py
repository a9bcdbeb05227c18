"""Files that were seen and are waited for until they have been unchanged for a while, on the monotonic clock."""

from __future__ import annotations

from pathlib import Path

from uncnn.daemon.files.scan import Found


class Settling:
    """The files of one folder that are waited for, each since it last changed."""

    def __init__(self, seconds: float) -> None:
        """Wait for `seconds` without a change of device, inode, size and times."""
        self.seconds = seconds
        self._waiting: dict[Path, tuple[Found, float]] = {}  # the longest waiting first

    def __len__(self) -> int:
        """Return how many files are waited for."""
        return len(self._waiting)

    def __contains__(self, relative: Path) -> bool:
        """Return whether a file is waited for."""
        return relative in self._waiting

    def see(self, found: Found, now: float) -> None:
        """Note what a file is at the time `now`, in seconds; a change begins its wait anew."""
        known = self._waiting.get(found.relative)
        if known is None or known[0] != found:
            self.forget(found.relative)
            self._waiting[found.relative] = (found, now)

    def forget(self, relative: Path) -> None:
        """Wait for a file no longer."""
        self._waiting.pop(relative, None)

    def due(self, now: float) -> list[Found]:
        """Return the files whose wait is over, as they were seen, and forget them: look whether they still are so."""
        over = []
        for found, since in self._waiting.values():
            if now - since < self.seconds:
                break
            over.append(found)
        for found in over:
            del self._waiting[found.relative]
        return over

    def next_due(self) -> float | None:
        """Return when the next wait is over, on the clock of `see`; None where nothing is waited for."""
        for _, since in self._waiting.values():
            return since + self.seconds
        return None
