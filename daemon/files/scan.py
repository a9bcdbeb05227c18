"""What lies in a watched folder: the reconciling scan, which is the truth where events are only hints."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from uncnn.daemon.files import kinds
from uncnn.daemon.files.names import Reason, ignored, is_ignored, is_photo_name, is_video_name, other_name
from uncnn.daemon.files.trash import is_bin
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError

__all__ = ["Found", "Ignored", "ScanError", "candidate", "candidates", "is_ignored", "is_photo_name", "scan"]

_OUR_OWN: Final = ".uncnn"  # settings, and what is written beside a photo for a moment


class ScanError(UncnnError):
    """A watched folder cannot be read at all."""


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate in a watched folder, as it was when the scan passed."""

    relative: Path
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int
    refused: str | None = None  # why it cannot be taken: a symlink, a FIFO, a folder that cannot be read


@dataclass(frozen=True, slots=True)
class Ignored:
    """What is not taken: a file, or a folder with all below it."""

    relative: Path
    reason: Reason
    words: str


def candidates(watch: Path, videos: bool = True) -> Iterator[Found]:
    """Yield every photo, and video where wanted, below `watch` by name in a fixed order; links are not followed.

    What has the name of one but is no regular file, and folders that cannot be read, come with `refused` set.

    Raises ScanError where `watch` itself cannot be read.
    """
    yield from (each for each in scan(watch, videos) if isinstance(each, Found))


def scan(watch: Path, videos: bool = True) -> Iterator[Found | Ignored]:
    """Yield the same, and what is not taken; of a folder that is not taken, only itself.

    `videos`: whether they are taken. Raises ScanError.
    """
    try:
        os.listdir(watch)  # noqa: PTH208 (one that can be opened may still not be listed)
    except OSError as error:
        raise ScanError(f"watched folder {printable(watch)} cannot be read: {system_words(error)[1]}") from error
    waiting = [Path()]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(watch / folder) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
        except FileNotFoundError:  # removed since it was listed
            continue
        except OSError as error:
            yield Found(folder, 0, 0, 0, 0, 0, refused=f"this folder cannot be read: {system_words(error)[1]}")
            continue
        if is_bin(watch / folder, [entry.name for entry in entries]):
            yield _ignored(folder, Reason.DELETED)
            continue
        folders = []
        for entry in entries:
            relative = folder / entry.name
            if entry.is_dir(follow_symlinks=False) and not is_ignored(entry.name):
                folders.append(relative)
            elif not videos and is_video_name(entry.name) and not is_ignored(entry.name):
                yield _ignored(relative, Reason.VIDEO, "it is a video, and the policy says `videos: ignore`")
            elif (found := _look(watch, relative, partial(entry.stat, follow_symlinks=False))) is not None:
                yield found
        waiting += reversed(folders)


def candidate(watch: Path, relative: Path) -> Found | None:
    """Return the photo at `relative` as a scan would yield it, or None where one would not."""
    if any(map(is_ignored, relative.parts)):
        return None
    try:
        for parent in relative.parents:
            if parent.parts and not stat.S_ISDIR((watch / parent).lstat().st_mode):
                return None
            if is_bin(watch / parent):
                return None
        if stat.S_ISDIR((watch / relative).lstat().st_mode):
            return None
    except OSError:  # removed since it was hinted at
        return None
    found = _look(watch, relative, (watch / relative).lstat)
    return found if isinstance(found, Found) else None


def _look(watch: Path, relative: Path, look: Callable[[], os.stat_result]) -> Found | Ignored | None:
    """Return what a directory entry is that is no folder to be gone into; None: it is gone, or our own."""
    reason = ignored(relative.name)
    if reason is not None:
        return None if relative.name.startswith(_OUR_OWN) else _ignored(relative, reason)
    try:
        found = look()
    except OSError:  # removed since it was listed
        return None
    taken = is_photo_name(relative.name) or is_video_name(relative.name)
    return _found(relative, found) if taken else _by_content(watch, relative, found)


def _by_content(watch: Path, relative: Path, found: os.stat_result) -> Found | Ignored:
    """Return what a file is whose name ends neither as photos nor as videos do."""
    if stat.S_ISLNK(found.st_mode):
        what = "folder" if (watch / relative).is_dir() else "file"
        return _ignored(relative, Reason.LINK, f"it is a symbolic link: put the {what} itself there")
    if not stat.S_ISREG(found.st_mode):
        return _ignored(relative, Reason.OTHER, "it is a FIFO, a socket or a device, not a file")
    reason = other_name(relative.name)
    if reason is Reason.VIDEO:
        return _ignored(relative, reason, "videos of its format are not cloaked: convert it to MP4")
    if reason is not None:
        return _ignored(relative, reason)
    try:
        kind = kinds.kind_of_file(watch / relative, found)
    except OSError as error:
        return _ignored(relative, Reason.OTHER, f"it cannot be read: {system_words(error)[1]}")
    return _found(relative, found) if kind == kinds.PHOTO else _no_photo(relative, kind)


def _no_photo(relative: Path, kind: str) -> Ignored:
    """Return what a file is that is none that is read, by what its first bytes say."""
    if kind == kinds.EMPTY:
        return _ignored(relative, Reason.EMPTY)
    if not kind:
        return _ignored(relative, Reason.OTHER)
    words = f"its format is not supported ({kind}): export it as JPEG, PNG or TIFF"
    return _ignored(relative, Reason.UNSUPPORTED, words)


def _found(relative: Path, found: os.stat_result) -> Found:
    times = found.st_mtime_ns, found.st_ctime_ns
    return Found(relative, found.st_size, *times, found.st_dev, found.st_ino, refused=_refusal(found.st_mode))


def _ignored(relative: Path, reason: Reason, words: str = "") -> Ignored:
    return Ignored(relative, reason, words or f"it is {reason.words}")


def _refusal(mode: int) -> str | None:
    """Return why a directory entry of this mode is not taken, or None where it is a regular file."""
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISLNK(mode):
        return "it is a symbolic link: put the photo itself there"
    return "it is a FIFO, a socket or a device, not a file: remove it"
