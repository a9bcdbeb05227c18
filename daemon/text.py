"""How files and failures are named to a person: one line, nothing that a terminal would obey."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from typing import Final

_SYSTEM: Final[dict[int, tuple[str, str]]] = {
    errno.ENOSPC: ("no-space", "the disk is full; free some space on it"),
    errno.EDQUOT: ("no-space", "the disk quota is used up; free some space or raise it"),
    errno.EACCES: ("permission", "permission denied; give the user that runs uncnn access to it"),
    errno.EPERM: ("permission", "operation not permitted; check the owner, the permissions and the mount options"),
    errno.EROFS: ("read-only", "the file system is read-only; mount it for writing or choose another folder"),
    errno.ENOENT: ("missing", "there is no such file or folder; create it or correct the path"),
    errno.ENOTDIR: ("not-a-folder", "a part of the path is not a folder; correct the path"),
    errno.ENAMETOOLONG: ("name-too-long", "the name is too long for this file system; shorten it"),
    errno.EIO: ("input-output", "the disk reports an input/output error; check the disk and its cable"),
    errno.EBUSY: ("busy", "another program or a mount is using it; end that"),
    errno.ETXTBSY: ("busy", "another program is running it; end that"),
    errno.ESTALE: ("stale", "the network folder has gone stale; mount it again"),
    errno.ELOOP: ("symlink", "it is a symbolic link; put the file itself there"),
    errno.EMFILE: ("too-many-files", "too many files are open; raise the limit of open files"),
    errno.EOPNOTSUPP: ("unsupported", "the file system does not support this; choose a folder on another file system"),
    errno.EXDEV: (
        "other-file-system",
        "it is on another file system than its folder; remove the mount inside the folder",
    ),
}


def printable(name: str | os.PathLike[str]) -> str:
    """Return a file name that fits on one line: what cannot be printed is written as an escape."""
    text = os.fspath(name)
    return "".join(part if part.isprintable() else part.encode("unicode_escape").decode("ascii") for part in text)


def system_words(error: OSError) -> tuple[str, str]:
    """Return the kind of a system error (`no-space`, `permission`, ...) and its plain words with the remedy."""
    known = _SYSTEM.get(error.errno or 0)
    if known is not None:
        return known
    return "system", f"{(error.strerror or str(error)).lower()}; correct that and try again"


def photos(number: int) -> str:
    """Return so many photos in words."""
    return "1 photo" if number == 1 else f"{number} photos"


def ago(time: datetime, now: datetime) -> str:
    """Return how long ago something was, in one unit."""
    seconds = (now - time).total_seconds()
    if seconds < -60:
        return f"at {time.isoformat(timespec='seconds')}, by a clock that has been set back since"
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        number = int(seconds // length)
        if number >= 1:
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"


def duration(seconds: float) -> str:
    """Return a time in words of at most two units: 40 s, 3 min 20 s, 2 h 5 min."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def clock(seconds: float) -> str:
    """Return a time in a clip as players show it: 0:12.4, 1:02:05.0."""
    tenths = max(round(seconds * 10), 0)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{shown}:{rest // 10:02}.{rest % 10}"


def size_words(size: int) -> str:
    """Return so many bytes in words."""
    if size < 1000:
        return f"{size} byte" if size == 1 else f"{size} bytes"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
