"""Files that appear without an event: better than any list of file systems, it shows that events cannot be relied on.

What a scan finds new may have its event still on the way, so each is waited for before it counts.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from uncnn.daemon.files.scan import Found

LATE_SECONDS: Final = 5.0
"""So long an event may take."""


class Appeared:
    """What scans of one folder found, held against what events told of."""

    def __init__(self) -> None:
        self.missed = 0  # files that no event told of
        self._before: dict[Path, tuple[int, int]] | None = None  # size and time of each file at the last scan
        self._told: set[Path] = set()  # of by events since then
        self._everything = False  # events told of a whole folder, or were lost
        self._untold: dict[Path, float] = {}  # when a scan found each

    def begin(self) -> None:
        """Begin anew: what happened while nobody watched tells nothing."""
        self._before = None
        self._untold.clear()

    def notify(self, paths: Collection[Path], everything: bool) -> None:
        """Note what events told of."""
        self._everything = self._everything or everything
        self._told.update(paths)
        for path in list(self._untold) if everything else paths:
            self._untold.pop(path, None)

    def scanned(self, there: Collection[Found], now: float) -> None:
        """Hold what a scan found, at the monotonic time `now`, against the scan before and the events since."""
        states = {found.relative: (found.size, found.mtime_ns) for found in there}
        if self._before is not None and not self._everything:
            for path in states.keys() - self._told:
                if self._before.get(path) != states[path]:
                    self._untold.setdefault(path, now)
        self._before = states
        self._told.clear()
        self._everything = False

    def check(self, now: float) -> bool:
        """Count the files whose event did not come in time; return whether there are any now."""
        late = [path for path, since in self._untold.items() if now - since >= LATE_SECONDS]
        for path in late:
            del self._untold[path]
        self.missed += len(late)
        return bool(late)
