"""What lies in a watched folder: the reconciling scan, which is the truth where events are only hints."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.wording import printable, system_words
from uncnn.plugins.api import UncnnError

_PHOTO: Final = r"jpe?g|jpe|jfif|a?png|webp|tiff?|hei[cf]s?|hif|avifs?|bmp|dib|gif"
# RAW files are refused with a reason when they are opened: silence would look like protection.
_RAW: Final = "3fr|arw|cr[23w]|dng|erf|fff|iiq|kdc|mef|mos|mrw|nef|nrw|orf|pef|raf|raw|rw[2l]|sr[2fw]|x3f"
_PHOTO_NAME: Final = re.compile(rf".+\.({_PHOTO}|{_RAW})", re.IGNORECASE | re.DOTALL)

_UNFINISHED: Final = ("*.part", "*.partial", "*.crdownload", "*.download", "*.filepart", "*.tmp", "*.temp", "*~", "~$*")
_NOT_OURS: Final = ("~syncthing~*", "Thumbs.db", "desktop.ini", "@eaDir", "__MACOSX")
_HIDDEN: Final = ".*"  # with them .~lock.*, ._*, .syncthing.*, .stversions, .Trash* and .uncnn.yaml
_IGNORE: Final = re.compile("|".join(map(fnmatch.translate, (_HIDDEN, *_UNFINISHED, *_NOT_OURS))), re.IGNORECASE)


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


def candidates(watch: Path) -> Iterator[Found]:
    """Yield every photo below `watch` by name in a fixed order; links are not followed.

    What has the name of a photo but is no regular file, and folders that cannot be read, come with `refused` set.

    Raises ScanError where `watch` itself cannot be read.
    """
    try:
        os.close(os.open(watch, os.O_RDONLY | os.O_DIRECTORY))
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
        entries = [entry for entry in entries if not is_ignored(entry.name)]
        yield from _files(folder, entries)
        waiting += [folder / entry.name for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]


def candidate(watch: Path, relative: Path) -> Found | None:
    """Return the photo at `relative` as a scan would yield it, or None where one would not."""
    if any(map(is_ignored, relative.parts)) or not is_photo_name(relative.name):
        return None
    try:
        for parent in relative.parents:
            if not stat.S_ISDIR((watch / parent).lstat().st_mode) and parent.parts:
                return None
        found = (watch / relative).lstat()
    except OSError:  # removed since it was hinted at
        return None
    return None if stat.S_ISDIR(found.st_mode) else _found(relative, found)


def is_ignored(name: str) -> bool:
    """Return whether a file or folder of this name is never looked at: hidden, unfinished, or another program's own."""
    return _IGNORE.match(name) is not None


def is_photo_name(name: str) -> bool:
    """Return whether a name ends as photos do, RAW included; the content is looked at later."""
    return _PHOTO_NAME.fullmatch(name) is not None


def _files(folder: Path, entries: list[os.DirEntry[str]]) -> Iterator[Found]:
    """Yield what has the name of a photo and is not a folder."""
    for entry in entries:
        if not is_photo_name(entry.name):
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:  # removed since it was listed
            continue
        if not stat.S_ISDIR(found.st_mode):
            yield _found(folder / entry.name, found)


def _found(relative: Path, found: os.stat_result) -> Found:
    times = found.st_mtime_ns, found.st_ctime_ns
    return Found(relative, found.st_size, *times, found.st_dev, found.st_ino, refused=_refusal(found.st_mode))


def _refusal(mode: int) -> str | None:
    """Return why a directory entry of this mode is not taken, or None where it is a regular file."""
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISLNK(mode):
        return "it is a symbolic link: put the photo itself there"
    return "it is a FIFO, a socket or a device, not a file: remove it"
