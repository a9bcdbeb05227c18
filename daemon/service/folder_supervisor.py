"""One folder of the configuration in the service: watched, scanned, blocked and taken up again."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from uncnn.daemon import output
from uncnn.daemon.config import ConfigError
from uncnn.daemon.control.messages import FolderScan
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.files.scan import ScanError
from uncnn.daemon.ledger import Ledger
from uncnn.daemon.ledger.rows import utc_now
from uncnn.daemon.service.worker_thread import Task
from uncnn.daemon.service.workers import Workers
from uncnn.daemon.text import printable, system_words
from uncnn.daemon.watch.backlog import SourceFolder, prepare_publish, refused_words, scan_folder
from uncnn.daemon.watch.folder import NotMounted, WatchedFolder
from uncnn.plugins.api import UncnnError

FIRST_RETRY_SECONDS: Final = 10.0
LONGEST_RETRY_SECONDS: Final = 300.0


class RemovedError(UncnnError):
    """A folder was removed, and what is mounted of it here is what it was: only another start sees a new one."""


class FolderSupervisor:
    """A watched folder, and what of it is done. All raise LedgerError."""

    def __init__(self, source: SourceFolder, watched: WatchedFolder, ledger: Ledger, worker: Workers) -> None:
        self.source = source
        self.blocked = ""
        self._unclean = True  # until what killed runs left in the publish folder was removed
        self._blocks = 0  # by photos, in a row
        self._scan_failures = 0  # in a row
        self._retry_at = 0.0  # monotonic
        self._watched = watched
        self._ledger = ledger
        self._worker = worker
        self._refused: list[str] = []  # by the last scan
        self._unread: dict[Path, str] = {}  # photos that could not be read, and why
        self._words = ""
        self._reported: tuple[object, ...] = ()

    def close(self) -> None:
        """Watch no more; what is waiting is forgotten here, a scan finds it again."""
        self._watched.close()
        self._worker.take_back(self.source.number)

    def advance(self, now: float) -> None:
        """Look at what there is to look at by `now`."""
        if self.blocked:
            return
        self._watched.take_hints(now)
        if self._watched.scan_due(now):
            self._scan(now)
        for found in self._watched.settled(now):
            try:
                own = self.source.at(found.relative)
            except ConfigError:
                own = None
            if own is not None and own.can_do(found.relative):
                self._worker.put(Task(own, found, now, self.source))
            else:  # the scan says what keeps it
                self._watched.ask_for_scan(now)

    def check(self, now: float) -> None:
        """Watch, or see whether the folder is still there and can be published; blocked, take it up when it is well.

        Raises RemovedError.
        """
        try:
            self._check_bound()
            self._watched.check(now)
            prepare_publish(self._ledger, self.source, clean=self._unclean or bool(self.blocked))
            self._unclean = False
        except (PublishError, NotMounted) as error:
            self.block(str(error))
        except OSError as error:
            self.block(f"watched folder {printable(self._watched.folder)} cannot be read: {system_words(error)[1]}")
        else:
            if self.blocked and now >= self._retry_at:
                self._unblock(now)

    def block_for_photo(self, reason: str, now: float) -> None:
        """Do nothing for a while: a photo met a fault of the machine that a check of the folders may not show."""
        self._blocks += 1
        self._rest(self._blocks, now)
        self.block(reason)

    def _rest(self, times: int, now: float) -> None:
        """Let the folder rest, longer each time."""
        self._retry_at = now + min(FIRST_RETRY_SECONDS * 2.0 ** (times - 1), LONGEST_RETRY_SECONDS)

    def went_well(self) -> None:
        """Note that a photo met no fault of the machine."""
        self._blocks = 0

    def read(self, relative: Path, problem: str) -> None:
        """Note that a photo could be read, or why it could not; the next scan tries again."""
        if problem or relative in self._unread:
            self._unread.pop(relative, None)
            if problem:
                self._unread[relative] = problem
            self._report_refused()

    def block(self, reason: str) -> None:
        """Do nothing for this folder until a check finds it well."""
        self._worker.take_back(self.source.number)
        if reason != self.blocked:
            self.blocked = reason
            self._ledger.folders.block(self.source.number, reason)
            say(f"{printable(self._watched.folder)}: blocked: {reason}")

    def look_again(self, relative: Path, now: float) -> None:
        """Wait until a photo has settled, and take it again."""
        self._watched.look_at(relative, now)

    def ask_for_scan(self, now: float) -> None:
        """Let a scan come now."""
        self._watched.ask_for_scan(now)

    @property
    def last_scan(self) -> FolderScan:
        """Return what there is to do here since the last scan, or why there was none."""
        waiting = len(self._worker.waiting(self.source.number)) + len(self._watched.settling)
        return FolderScan(str(self._watched.folder), waiting, self.blocked)

    def next_due(self) -> float | None:
        """Return when there is something to do, monotonic."""
        return None if self.blocked else self._watched.next_due()

    def report(self, now: float) -> None:
        """Write to the ledger how it stands, where that has changed."""
        tasks = self._worker.waiting(self.source.number)
        waiting = len(tasks) + len(self._watched.settling)
        oldest = min((task.since for task in tasks), default=None)
        reported = (self._watched.mode, self._watched.event_at, self._watched.missed, waiting, oldest)
        if reported == self._reported:
            return
        self._reported = reported
        folders, number = self._ledger.folders, self.source.number
        events = (_utc(self._watched.event_at, now), self._watched.missed)
        folders.watching(number, self._watched.mode, *events)
        folders.waiting(number, waiting, _utc(oldest, now))

    def _check_bound(self) -> None:
        """Refuse a folder of which only a mount is left, as the system's unit makes them (BindPaths)."""
        for folder in (self.source.folder.watch, self.source.folder.publish):
            if folder.is_dir() and folder.stat().st_nlink == 0:
                remedy = "uncnn ends, to be started again where there is a new one"
                raise RemovedError(f"{printable(folder)} was removed, and is only mounted here: {remedy}")

    def _unblock(self, now: float) -> None:
        self.blocked = ""
        self._ledger.folders.block(self.source.number, "")
        self._ledger.unblock(self.source.number)
        self._watched.ask_for_scan(now)
        say(f"{printable(self._watched.folder)}: available again")

    def _scan(self, now: float) -> None:
        try:
            seen = scan_folder(self._ledger, self.source)
        except ScanError as error:
            self._scan_failures += 1
            self._rest(self._scan_failures, now)  # what a check does not show is not asked for every few seconds
            self.block(str(error))
            return
        self._scan_failures = 0
        new = [found for found in seen.new if not self._worker.has(self.source.number, found.relative)]
        self._watched.scanned(new, seen.there, time.monotonic())
        there = {found.relative for found in new}
        self._unread = {relative: words for relative, words in self._unread.items() if relative in there}
        self._refused = seen.refusals()
        self._report_refused()

    def _report_refused(self) -> None:
        """Say what is not taken, and why, where that has changed."""
        words = refused_words([*self._refused, *self._unread.values()])
        if words != self._words:
            self._words = words
            self._ledger.folders.refused(self.source.number, words)
            if words:
                say(f"{printable(self._watched.folder)}: not taken: {words}")


def say(line: str) -> None:
    """Write a line to the log: standard error, which systemd keeps. A log that cannot be written ends no service."""
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def say_unless_quiet(line: str) -> None:
    """Write a line to the log that tells of nothing wrong."""
    if not output.quiet:
        say(line)


def _utc(at: float | None, now: float) -> datetime | None:
    return None if at is None else utc_now() - timedelta(seconds=max(now - at, 0.0))
