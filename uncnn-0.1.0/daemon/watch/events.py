"""File events as hints: which paths to look at, and when the whole folder has to be.

What an event says of a file is not believed; it is looked at. A folder that was made, moved or removed, an overflow of
the kernel's queue and more hints than are worth keeping all ask for a scan.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

MOST_HINTS: Final = 10_000
WANTED: Final[list[type[FileSystemEvent]]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
"""Not `opened` and `closed without writing`: what reads a photo, as uncnn does, gives those."""


@dataclass(slots=True)
class Hints:
    """What events asked to look at since they were last taken."""

    paths: set[Path] = field(default_factory=set)  # below the watched folder
    scan: bool = False

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return self.scan or bool(self.paths)


class Events(FileSystemEventHandler):
    """The events of one folder and all below it."""

    def __init__(self, folder: Path, wake: Callable[[], None]) -> None:
        """Begin; `wake` is called from another thread when there are hints.

        Raises OSError: the folder is not there (ENOENT), or the limit of watches (ENOSPC) or of instances (EMFILE).
        """
        self._folder = folder
        self._wake = wake
        self._lock = threading.Lock()
        self._hints = Hints()
        self._observer = Observer()
        _overflows.start()
        self._overflows = _overflows.number
        try:
            self._observer.schedule(self, str(folder), recursive=True, event_filter=WANTED)
            self._observer.start()
        except BaseException:
            self._observer.stop()
            raise

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Keep the hint."""
        paths = [Path(str(path)) for path in (event.src_path, event.dest_path) if path]
        with self._lock:
            if event.is_directory or len(self._hints.paths) >= MOST_HINTS:
                self._hints.paths.clear()
                self._hints.scan = True
            if not self._hints.scan:
                below = (path for path in paths if path.is_relative_to(self._folder))
                self._hints.paths.update(path.relative_to(self._folder) for path in below)
        self._wake()

    def take(self) -> Hints:
        """Return the hints since the last call."""
        with self._lock:
            taken, self._hints = self._hints, Hints()
        if self._overflows != _overflows.number:
            self._overflows = _overflows.number
            taken.scan = True
        return taken

    def healthy(self) -> bool:
        """Return whether the observer, its emitter and the reader of the kernel's events are alive."""
        emitters = list(self._observer.emitters)
        reader = getattr(self._observer, "_inotify_fd", None)  # where the system has inotify
        threads = [self._observer, *emitters, *([reader] if reader is not None else [])]
        return bool(emitters) and all(map(_alive, threads))

    def stop(self) -> None:
        """End; hints that were not taken are lost."""
        self._observer.unschedule_all()
        self._observer.stop()
        if self._observer.ident is not None:
            self._observer.join(5)


class _Overflows(logging.Handler):
    """Counts the overflows of the kernel's queue, which watchdog tells its log alone."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.number = 0

    def start(self) -> None:
        logging.getLogger("watchdog").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage().lower():
            self.number += 1


_overflows = _Overflows()


def _alive(thread: threading.Thread) -> bool:
    return thread.is_alive() and not getattr(thread, "stopped_event", threading.Event()).is_set()
