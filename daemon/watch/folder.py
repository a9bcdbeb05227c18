"""One watched folder: by events where they can be had, by scans always; what settles in it, and whether it is there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from uncnn.daemon.config.overrides import NAME as OVERRIDES
from uncnn.daemon.files.scan import Found, candidate
from uncnn.daemon.text import printable, system_words
from uncnn.daemon.watch.events import Events
from uncnn.daemon.watch.missing import Appeared
from uncnn.daemon.watch.mounts import network_file_system
from uncnn.daemon.watch.settling import Settling
from uncnn.plugins.api import UncnnError

SCAN_SECONDS: Final = 300.0
"""Between two scans where there are events too."""

SCAN_ONLY_SECONDS: Final = 15.0
"""Between two scans where there are none."""

DEBOUNCE_SECONDS: Final = 0.5
"""Between a hint that asks for a scan and the scan: a tree that is copied in gives thousands."""

_UNTOLD: Final = f"events, and scans every {SCAN_ONLY_SECONDS:g} s: some files arrived without an event"
_LIMITS: Final = {
    errno.ENOSPC: "the limit of inotify watches is reached; raise fs.inotify.max_user_watches",
    errno.EMFILE: "the limit of inotify instances is reached; raise fs.inotify.max_user_instances",
}


class NotMounted(UncnnError):
    """A watched folder is empty where another disk was before."""


class WatchedFolder:
    """A folder that is watched. `wake` is called from another thread when there is something to look at."""

    def __init__(self, folder: Path, settle_seconds: float, wake: Callable[[], None]) -> None:
        self.folder = folder
        self.settling = Settling(settle_seconds)
        self.mode = "not watched yet"
        self.appeared = Appeared()
        self.rebuilt = 0  # times that the events had to be begun anew
        self.event_at: float | None = None  # of the last event
        self._wake = wake
        self._events: Events | None = None
        self._identity: tuple[int, int] | None = None
        self._device: int | None = None  # that it was on last
        self._scan_at: float | None = 0.0
        self._interval = SCAN_ONLY_SECONDS  # between scans, until an event shows that there are such

    @property
    def missed(self) -> int:
        """Return how many files a scan found that no event told of."""
        return self.appeared.missed

    def open(self, now: float) -> None:
        """Begin to watch, and ask for a scan. Raises OSError where the folder is not there."""
        self.close()
        found = self.folder.stat()
        self._identity = (found.st_dev, found.st_ino)
        self._device = found.st_dev
        self._scan_at = now
        self._interval = SCAN_ONLY_SECONDS
        self.appeared.begin()
        network = network_file_system(self.folder)
        if network is not None:
            self.mode = f"scans every {SCAN_ONLY_SECONDS:g} s: {network} gives no events"
            return
        try:
            self._events = Events(self.folder, self._wake)
            self.mode = _UNTOLD if self.missed else "events"
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise
            reason = _LIMITS.get(error.errno or 0) or f"events cannot be had, {system_words(error)[1]}"
            self.mode = f"scans every {SCAN_ONLY_SECONDS:g} s: {reason}"

    def close(self) -> None:
        """Watch no more."""
        if self._events is not None:
            self._events.stop()
        self._events = None
        self._identity = None

    def check(self, now: float) -> None:
        """See that the folder is the one that is watched and that its events are alive; begin anew where not.

        Raises OSError where the folder is not there or may not be listed, NotMounted where it is empty on another disk
        than before.
        """
        found = self.folder.stat()
        with os.scandir(self.folder) as listing:
            is_empty = next(listing, None) is None
        if self._device is not None and found.st_dev != self._device and is_empty:
            self.close()
            raise NotMounted(f"{printable(self.folder)} is empty and on another disk than before: mount its disk")
        same = self._identity == (found.st_dev, found.st_ino)
        if not same or (self._events is not None and not self._events.healthy()):
            self.rebuilt += self._identity is not None
            self.open(now)
        if self._events is not None and self.appeared.check(now):
            self.mode = _UNTOLD
            self._scan_at = min(self._scan_at or now, now + SCAN_ONLY_SECONDS)

    def take_hints(self, now: float) -> None:
        """Look at what events pointed to."""
        hints = self._events.take() if self._events is not None else None
        if not hints:
            return
        self.event_at = now
        self.appeared.notify(hints.paths, everything=hints.scan)
        if hints.scan:
            self.ask_for_scan(now + DEBOUNCE_SECONDS)
        for relative in hints.paths:
            if relative.name == OVERRIDES:
                self.ask_for_scan(now + DEBOUNCE_SECONDS)
            self.look_at(relative, now)

    def look_at(self, relative: Path, now: float) -> None:
        """Wait for the photo at this path, where there is one."""
        found = candidate(self.folder, relative)
        if found is None:
            self.settling.forget(relative)
        elif found.refused is None:  # what is refused is told of by the scan
            self.settling.see(found, now)
        else:
            self.ask_for_scan(now + DEBOUNCE_SECONDS)

    def ask_for_scan(self, at: float) -> None:
        """Let the next scan be no later than `at`."""
        self._scan_at = at if self._scan_at is None else min(self._scan_at, at)

    def scan_due(self, now: float) -> bool:
        """Return whether a scan is due."""
        return self._scan_at is not None and now >= self._scan_at

    def next_due(self) -> float | None:
        """Return when there is something to do for this folder, on the clock of `now`."""
        times = [time for time in (self._scan_at, self.settling.next_due()) if time is not None]
        return min(times, default=None)

    def scanned(self, new: Collection[Found], there: Collection[Found], now: float) -> None:
        """Take up what a scan found to be done; `there` is all that it found."""
        for found in new:
            self.settling.see(found, now)
        if self._events is not None:
            self.appeared.scanned(there, now)
        self._scan_at = now + self._scan_seconds()

    def _scan_seconds(self) -> float:
        """Return how long until the next scan: longer each time, as long as events may be all that is needed."""
        if self._events is None or self.missed:
            return SCAN_ONLY_SECONDS
        waited = self._interval
        self._interval = SCAN_SECONDS if self.event_at is not None else min(2 * waited, SCAN_SECONDS)
        return SCAN_SECONDS if self.event_at is not None else waited

    def settled(self, now: float) -> list[Found]:
        """Return the files that have been unchanged for long enough; those that changed are waited for again."""
        over = []
        for seen in self.settling.due(now):
            found = candidate(self.folder, seen.relative)
            if found == seen:
                over.append(found)
            elif found is not None and found.refused is None:
                self.settling.see(found, now)
        return over
