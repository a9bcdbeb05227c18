"""What stands in a publish folder where a photo was published: the same bytes, others, or nothing. It is only read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from uncnn.daemon.files.opening import PublishError, open_file, opened_folder, safe_parts
from uncnn.daemon.text import system_words

Kind: TypeAlias = Literal["there", "missing", "replaced", "rotten", "unreadable"]

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK: Final = 1 << 20
_GONE: Final = frozenset({"missing", "not-a-folder"})
_OTHER: Final = frozenset({"symlink", "file"})


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found under the name of a published photo."""

    kind: Kind
    words: str = ""  # "" where it is as it was


def state_of(file: Path) -> str | None:
    """Return what tells a file from another or from itself written anew: inode, size and time of change.

    None: it is not there any more. No device, whose number may be another after the machine was started again.
    """
    with suppress(OSError):
        return _state(file.lstat())
    return None


def standing(folder: Path, relative: Path, sha256: str, placed: str | None) -> Standing:
    """Return what stands as `relative` in a publish folder, where bytes of this sha256 were published.

    `placed` is what the file was then: one of other bytes that nobody wrote since has rotten on its disk.
    """
    try:
        parts = safe_parts(relative)
        with opened_folder(folder, parts[:-1]) as opened:
            found, digest = _hashed(opened, parts[-1])
    except PublishError as error:
        return Standing("replaced" if error.kind in _OTHER else "unreadable", str(error))
    except OSError as error:
        kind, words = system_words(error)
        if kind in _GONE:
            return Standing("missing", "there is no file of its name")
        return Standing("unreadable", f"it cannot be read: {words}")
    if digest == sha256:
        return Standing("there")
    return _other(found, digest is not None, placed)


def _other(found: os.stat_result, is_file: bool, placed: str | None) -> Standing:
    """Return what stands where the published bytes do not."""
    if not is_file:
        return Standing("replaced", "under its name there is something that is not a regular file")
    if placed is not None and placed == _state(found):
        return Standing("rotten", "its content changed although nobody wrote to it: check the disk")
    return Standing("replaced", "its content is not what was verified")


def elsewhere(folder: Path, name: str, sha256: str, known: dict[str, list[Path]]) -> Path | None:
    """Return where else below a publish folder these bytes stand under this name, or None.

    `known` is filled with the names below the folder when it is empty.
    """
    if not known:
        for found in _files(folder):
            known.setdefault(found.name, []).append(found.parent)
    for parent in known.get(name, ()):
        if standing(folder, parent / name, sha256, None).kind == "there":
            return parent / name
    return None


def holds(folder: int, name: str, size: int, sha256: str) -> bool:
    """Return whether a regular file holds the bytes of this size and sha256."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return found.st_size == size and reads_as(folder, name, size, sha256)


def reads_as(folder: int, name: str, size: int, sha256: str) -> bool:
    """Return the same of a file that was just placed, whose size gocryptfs and others say wrong for a second."""
    opened = open_file(folder, name)
    if opened is None:
        return False
    try:
        return _digest(opened, size) == sha256
    finally:
        os.close(opened)


def _digest(opened: int, size: int) -> str:
    """Return the sha256 of the first `size` bytes of an open file and of what another may have appended since."""
    digest = hashlib.sha256()
    left = size + 1
    while left > 0 and (chunk := os.read(opened, min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Yield what is below a folder, relative to it."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name).relative_to(folder) for name in names)


def _hashed(folder: int, name: str) -> tuple[os.stat_result, str | None]:
    """Return what a file in an open folder is, and its sha256; None of what is no regular file. Raises OSError."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        return found, None
    opened = os.open(name, _READ, dir_fd=folder)
    try:
        digest = hashlib.sha256()
        while chunk := os.read(opened, _CHUNK):
            digest.update(chunk)
        with suppress(OSError):  # what others read stays in memory, not all photos that were ever published
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.fstat(opened), digest.hexdigest()
    finally:
        os.close(opened)


def _state(found: os.stat_result) -> str:
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"
