"""What marks a folder as a recycle bin, whatever it is called: what people delete on a share is moved there."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Final

_DESKTOP_INI: Final = ("desktop.ini", "Desktop.ini", "DESKTOP.INI")
_BIN: Final = b"645ff040-5081-101b-9f08-00aa002f954e"  # the class of the recycle bin in the shell of Windows
_BYTES: Final = 1 << 16


def is_bin(folder: Path, names: Collection[str] | None = None) -> bool:
    """Return whether a folder is a recycle bin by what is in it; `names` are those of all that is, where known.

    That is a `desktop.ini` that says so (Windows, Samba), or `files` beside `info` with its `.trashinfo` (the bin of
    Linux desktops: freedesktop.org, Trash specification 1.0). An emptied `info` is enough below a folder with the
    sticky bit, which the bins of several users are kept in.
    """
    inis = [name for name in (names if names is not None else _DESKTOP_INI) if name.lower() == "desktop.ini"]
    if any(_says_bin(folder / name) for name in inis):
        return True
    return (names is None or {"files", "info"} <= set(names)) and _has_trash(folder)


def _says_bin(file: Path) -> bool:
    try:
        found = file.lstat()
        return _content_says_bin(file, found.st_size, found.st_mtime_ns)
    except OSError:
        return False


@lru_cache(maxsize=10_000)
def _content_says_bin(file: Path, _size: int, _mtime_ns: int) -> bool:
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as reader:
        content = reader.read(_BYTES)
    return _BIN in content.replace(b"\0", b"").lower()  # UTF-16 as well


def _has_trash(folder: Path) -> bool:
    if not (folder / "files").is_dir():
        return False
    try:
        with os.scandir(folder / "info") as listing:
            endings = {entry.name.endswith(".trashinfo") for entry in listing}
        return True in endings or (not endings and bool(folder.parent.stat().st_mode & stat.S_ISVTX))
    except OSError:
        return False
