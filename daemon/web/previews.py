"""Pictures of photos for the page, made by a sandboxed process: the page itself decodes none.

They lie beside the dropped photos, under a name that begins with what they are of, and go with them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.files.opening import open_file
from uncnn.daemon.files.workspace import workspace
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.processes import Child
from uncnn.daemon.protect.wire import Handlers
from uncnn.daemon.sandbox.rules import sandbox_for
from uncnn.daemon.web.messages import PREVIEW, Box, Preview
from uncnn.plugins.api import UncnnError

SIZES: Final = {"small": 320, "large": 1600, "whole": 16_000}
"""Of a picture's longer side, by the name that is asked for; `whole`: that of the photo, for a look at 100 %."""

MOST_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 30.0
MOST_KEPT: Final = 2000
OLDEST_SECONDS: Final = 3600.0
"""So many pictures are kept, and for so long; then they are removed, and made again when they are asked for."""

LARGEST: Final = 200_000_000
"""Bytes of a picture: what is larger was not made by the process as it was written."""


_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class PreviewError(UncnnError):
    """No picture of a photo can be made."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a photo."""

    file: Path
    photo_size: tuple[int, int]  # width and height of the photo itself


class Previews:
    """One process, that is started when it is first asked and ended when it is not asked for a while."""

    def __init__(self, folder: Path) -> None:
        """Keep the pictures in the private `folder`, which the process does not see."""
        self._folder = folder
        self.thread = ThreadPoolExecutor(1, "uncnn-previews")  # whoever waits for a picture keeps no other thread busy
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._kept: dict[str, Picture] = {}
        self._child: Child | None = None
        self._spool: Path | None = None
        self._used = 0.0
        self._ended = False

    def of(self, key: str, size: str, name: str, put: Callable[[Path], None], box: Box | None = None) -> Picture:
        """Return the picture `key` in a size of `SIZES`; `put` copies the photo to where it is told.

        With the `box` of a face it is a picture of that one.

        Called in any thread; one picture is made at a time.

        Raises:
            RequestError: it is no photo. ProcessDied. PreviewError. PublishError, FolderError, OSError.
        """
        name_kept = f"{key}.{size}.jpg"
        with self._lock:
            kept = self._kept.get(name_kept)
            if kept is None or not kept.file.exists():
                kept = self._kept[name_kept] = self._made(self._folder / name_kept, name, SIZES[size], put, box)
        return kept

    def close_idle(self) -> None:
        """End the process if it was not asked for a while, and remove the oldest of too many pictures."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._child is not None and time.monotonic() - self._used > IDLE_SECONDS:
                self._end()
            self._remove_oldest()
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process, also in the middle of a picture."""
        self._ended = True
        child = self._child
        if child is not None:
            child.end_now()
        with self._lock:
            self._end()
        self.thread.shutdown(wait=False, cancel_futures=True)

    def _made(self, file: Path, name: str, longest: int, put: Callable[[Path], None], box: Box | None) -> Picture:
        """Have a picture made, and keep it."""
        child, spool = self._running()
        with tempfile.TemporaryDirectory(dir=spool, ignore_cleanup_errors=True) as own:
            photo = Path(own) / "photo.spool"
            put(photo)
            answered = child.call(Preview(Content(photo), name, longest, box), MOST_SECONDS)
            picture = Content(photo).check_beside(PREVIEW, answered.picture).file
            self._used = time.monotonic()
            assert picture is not None  # what is handed over as a file comes back as one
            _copy(picture, file)
        return Picture(file, answered.size)

    def _running(self) -> tuple[Child, Path]:
        """Return the process, started where there is none, and the folder that it sees."""
        if self._ended:
            raise PreviewError("the page ends")
        if self._child is not None and not self._child.alive:
            self._end()
        if self._child is None or self._spool is None:
            self._spool = self._stack.enter_context(workspace())
            modules = ["uncnn.daemon.web.previewer"]
            self._child = Child("previewer", _make_previewer, sandbox_for(self._spool, (), "cpu"), modules)
            self._stack.callback(self._child.close)
        return self._child, self._spool

    def _end(self) -> None:
        self._child = self._spool = None
        self._stack.close()

    def _remove_oldest(self) -> None:
        """Remove what is too old or too much, and forget what is gone."""
        self._kept = {name: kept for name, kept in self._kept.items() if kept.file.exists()}
        oldest = time.time() - OLDEST_SECONDS
        newest = sorted(self._kept, key=lambda name: -self._kept[name].file.stat().st_mtime)
        for number, name in enumerate(newest):
            if number >= MOST_KEPT or self._kept[name].file.stat().st_mtime < oldest:
                self._kept.pop(name).file.unlink(missing_ok=True)


def _make_previewer() -> Handlers:
    from uncnn.daemon.web.previewer import make_previewer  # decoders: only in the spawned process

    return make_previewer()


def _copy(picture: Path, made: Path) -> None:
    """Copy what the process made, if that is a plain file: a link would name any file of the person's.

    Raises PreviewError, OSError.
    """
    folder = os.open(picture.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        opened = open_file(folder, picture.name)
    finally:
        os.close(folder)
    if opened is None:
        raise PreviewError("the process that makes pictures made no plain file")
    with os.fdopen(opened, "rb") as reader:
        if os.fstat(opened).st_size > LARGEST:
            raise PreviewError("the process that makes pictures made one that is too large")
        new = made.with_suffix(".new")
        with os.fdopen(os.open(new, _CREATE, 0o600), "wb") as writer:
            shutil.copyfileobj(reader, writer)
    new.rename(made)
