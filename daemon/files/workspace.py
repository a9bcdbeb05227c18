"""Private folders of work in the spool, that live as long as the process does, and the lock of the one run.

Each folder is locked while it is used, which tells it from what a killed process left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from uncnn.daemon.files.folders import FolderError, state_dir
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError

_ASKED_SECONDS: Final = 2.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RunningError(UncnnError):
    """Another run is at work on the same state folder."""


@contextmanager
def workspace() -> Iterator[Path]:
    """Yield a new private folder in the spool; it is gone afterwards. Raises FolderError."""
    root = _spool_root()
    try:
        folder, opened = _made(root)
    except OSError as error:
        raise FolderError(f"{printable(root)} cannot be written: {system_words(error)[1]}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(opened)


def sweep_workspaces() -> list[Path]:
    """Remove the folders that killed processes left in the spool, and return them. Raises FolderError."""
    removed = []
    for folder in sorted(_spool_root().iterdir()):
        with suppress(OSError):  # its process is alive, or it is no folder of ours
            opened = os.open(folder, _FOLDER)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed.append(folder)
            finally:
                os.close(opened)
    return removed


@contextmanager
def only_run() -> Iterator[None]:
    """Hold the lock of the state folder, which one run has at a time.

    Raises RunningError: another has it. FolderError.
    """
    file = state_dir() / "run.lock"
    try:
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderError(f"{printable(file)} cannot be opened: {system_words(error)[1]}") from error
    try:
        try:
            _lock_soon(opened)
        except BlockingIOError as error:
            remedy = "see uncnn-daemon status, or wait for it to end"
            raise RunningError(
                f"uncnn is already running, with the state folder {printable(file.parent)}: {remedy}"
            ) from error
        os.ftruncate(opened, 0)
        os.write(opened, str(os.getpid()).encode())
        yield
    finally:
        os.close(opened)


def _lock_soon(opened: int) -> None:
    """Take the lock of the one run. Who asks whether one is at work holds it for an instant, which is waited for.

    Raises BlockingIOError.
    """
    deadline = time.monotonic() + _ASKED_SECONDS
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def run_at_work() -> int | None:
    """Return the process id of the run that holds the lock, or None. Raises FolderError."""
    file = state_dir() / "run.lock"
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(opened, 20)
        return int(text) if text.isdigit() else None
    finally:
        os.close(opened)
    return None


def signal_run(number: signal.Signals) -> bool:
    """Send a signal to the run at work; return whether there is one. Raises FolderError."""
    process = run_at_work()
    if process is None:
        return False
    try:
        os.kill(process, number)
    except ProcessLookupError:  # it ended just now
        return False
    return True


def _spool_root() -> Path:
    root = state_dir() / "spool"
    root.mkdir(mode=0o700, exist_ok=True)
    return root


def _made(root: Path) -> tuple[Path, int]:
    """Make a folder and lock it; one that a sweep took in between is made again."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=root))
        try:
            opened = os.open(folder, _FOLDER)
        except FileNotFoundError:
            continue
        with suppress(OSError):  # no locks on this file system
            fcntl.flock(opened, fcntl.LOCK_EX)
        if folder.exists():
            return folder, opened
        os.close(opened)
