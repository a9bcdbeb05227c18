"""The judged copies of photos that are held: what a person looks at and releases is what the verifier judged.

Each lies in the state folder under the number of its photo, readable by nobody else. They are bounded in number, in
bytes and in age; a photo whose copy is gone is cloaked again when it is published.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from uncnn.daemon.files.folders import private, state_dir
from uncnn.daemon.files.names import is_video_name

_LOG: Final = logging.getLogger(__name__)

MOST: Final = 200
MOST_BYTES: Final = 4_000_000_000
MOST_VIDEO_BYTES: Final = 40_000_000_000
"""Of videos, which count apart: one of them would take the room of all photos."""

PATIENT_SECONDS: Final = 3.0
"""So long is waited for another release without a word."""

OLDEST_SECONDS: Final = 30 * 86400.0
YOUNG_SECONDS: Final = 3600.0
"""So old is a copy that the ledger does not name before it is removed: its row may be about to be written."""


def kept_dir() -> Path:
    """Return the folder of the copies, made 0700. Raises FolderError."""
    return private(state_dir() / "held")


def keep(candidate: Path, number: int, suffix: str) -> str | None:
    """Keep a judged copy as that of the photo of this number; return its name, None where there is no room for it.

    An earlier one of that photo is replaced. Raises FolderError.
    """
    folder, name = kept_dir(), f"{number}{suffix.lower()}"
    written = folder / f".{name}.new"
    discard(number)
    try:
        shutil.copyfile(candidate, written)
        written.chmod(0o600)
        with written.open("rb") as stream:
            os.fsync(stream.fileno())
        written.replace(folder / name)
    except OSError:  # the disk is full: the photo is held all the same, and cloaked again when it is published
        written.unlink(missing_ok=True)
        return None
    return name


def kept_file(name: str | None) -> Path | None:
    """Return the copy of this name, None where it is no longer kept. Raises FolderError."""
    file = None if name is None else kept_dir() / Path(name).name
    return file if file is not None and file.is_file() and not file.is_symlink() else None


def discard(number: int) -> None:
    """Remove what is kept of the photo of this number, comparisons with its original too. Raises FolderError."""
    for file in _files(kept_dir()):
        if _number(file) == number:
            file.unlink(missing_ok=True)


def prune(held: Collection[int], now: float | None = None) -> None:
    """Remove the copies of photos that are not `held` any more, and the oldest beyond the bounds.

    Raises FolderError.
    """
    now = time.time() if now is None else now
    number, sizes = 0, {False: 0, True: 0}
    for file in sorted(_files(kept_dir()), key=_changed, reverse=True):
        with suppress(OSError):  # another process removed it
            age = now - _changed(file)
            is_video = is_video_name(file.name)
            number, sizes[is_video] = number + 1, sizes[is_video] + file.stat().st_size
            too_many = number > MOST or sizes[is_video] > (MOST_VIDEO_BYTES if is_video else MOST_BYTES)
            unknown = _number(file) not in held and age > YOUNG_SECONDS
            if unknown or age > OLDEST_SECONDS or too_many:
                file.unlink()


@contextmanager
def one_release_at_a_time() -> Iterator[None]:
    """Hold the lock under which copies are published: what a killed process left is only taken up when none is.

    Whoever waits for it longer says so once, on standard error, with the process that holds it. Raises FolderError.
    """
    opened = os.open(kept_dir() / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _lock(opened)
        os.ftruncate(opened, 0)
        os.pwrite(opened, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(opened)


def _lock(opened: int) -> None:
    told = time.monotonic() + PATIENT_SECONDS
    while time.monotonic() < told:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return
    holder = os.pread(opened, 20, 0).decode("ascii", "replace") or "of another command"
    _LOG.warning("waiting for process %s, which publishes copies; where it does not go on, end it", holder)
    fcntl.flock(opened, fcntl.LOCK_EX)


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name != ".lock" and not file.is_dir()]


def _number(file: Path) -> int | None:
    text = file.name.lstrip(".").partition(".")[0]
    return int(text) if text.isdecimal() else None


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
