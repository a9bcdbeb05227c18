"""Releasing a file: exactly the bytes that were verified, whole or not at all, and never over another file.

The temporary file lies in the publish folder itself (a rename across mounts fails) and is linked to its name, which
fails where the name is taken; a name that holds the same bytes is the file, released before. A lock on the temporary
tells a file that is being written from what a killed run left behind.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from uncnn.daemon.files.spool import (
    PublishError,
    Snapshot,
    copy_hashed,
    opened_folder,
    safe_parts,
    snapshot,
    sync_folder,
)
from uncnn.daemon.wording import printable

__all__ = ["PublishError", "Snapshot", "publish", "snapshot", "sweep"]

_TEMPORARY: Final = re.compile(r"\.uncnn-[0-9a-f]{16}\.part")
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}  # FAT, exFAT, some network folders
_RENAME_NOREPLACE: Final = 1
_NAME_BYTES: Final = 255
_NUMBERS: Final = 10_000


def publish(
    candidate: Path,
    folder: Path,
    relative: Path,
    sha256: str,
    mode: int | None = None,
    mtime_ns: int | None = None,
) -> Path:
    """Release `candidate` as `relative` in the publish folder, and return where it stands.

    `folder` must exist; folders below it are made. A file of that name with the same bytes is the answer; with other
    bytes it is left alone, and the name gets a number: `stem (2).ext`. `sha256` is that of the verified bytes.
    `mode` are its permission bits (None: 0644 and the umask), `mtime_ns` when it was changed (None: now).

    Raises PublishError; then nothing was released and no temporary file is left.
    """
    parts = safe_parts(relative)
    try:
        with opened_folder(folder, ()) as top, _temporary(top) as (name, writer):
            size = _fill(writer, candidate, sha256, folder / name)
            if mode is not None:
                os.fchmod(writer, mode)
            if mtime_ns is not None:
                os.utime(writer, ns=(mtime_ns, mtime_ns))
            with opened_folder(folder, parts[:-1], create=True) as target:
                placed = _place((top, name), target, parts[-1], (size, sha256))
                sync_folder(target)
    except OSError as error:
        raise PublishError.of(error, folder / relative, "published") from error
    return folder.joinpath(*parts[:-1], placed)


def sweep(folder: Path) -> list[Path]:
    """Remove the temporary files that killed runs left in a publish folder, and return them.

    Raises PublishError where the folder cannot be read.
    """
    removed: list[Path] = []
    try:
        with opened_folder(folder, ()) as top:
            with os.scandir(top) as listing:
                names = sorted(entry.name for entry in listing if _TEMPORARY.fullmatch(entry.name))
            removed.extend(folder / name for name in names if _remove_abandoned(top, name))
    except OSError as error:
        raise PublishError.of(error, folder, "read") from error
    return removed


def _remove_abandoned(top: int, name: str) -> bool:
    """Remove a temporary file that nobody holds the lock of; return whether it was."""
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
            return False
        opened = os.open(name, _READ, dir_fd=top)
    except OSError:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=top)
    except OSError:  # its writer is alive, or the file system knows no locks
        return False
    finally:
        os.close(opened)
    return True


@contextmanager
def _temporary(top: int) -> Iterator[tuple[str, int]]:
    """Give the name and the descriptor of a new locked file in an open folder; it is gone afterwards."""
    name, writer = _create_locked(top)
    try:
        yield name, writer
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=top)
        os.close(writer)


def _create_locked(top: int) -> tuple[str, int]:
    """Create a temporary file and lock it; one that a sweep took in between is created again."""
    while True:
        name = f".uncnn-{secrets.token_hex(8)}.part"
        writer = os.open(name, _CREATE, 0o644, dir_fd=top)
        with suppress(OSError):  # no locks on this file system: a sweep will leave the file alone
            fcntl.flock(writer, fcntl.LOCK_EX)
        if os.fstat(writer).st_nlink:
            return name, writer
        os.close(writer)


def _fill(writer: int, candidate: Path, sha256: str, temporary: Path) -> int:
    """Copy the candidate into the temporary file, durably; return its size in bytes.

    Raises PublishError (`mismatch`) where the bytes are not the verified ones.
    """
    try:
        reader = os.open(candidate, _READ)
    except OSError as error:
        raise PublishError.of(error, candidate, "read") from error
    try:
        size, found = copy_hashed(reader, writer, sys.maxsize, temporary)
    except OSError as error:
        raise PublishError.of(error, candidate, "read") from error
    finally:
        os.close(reader)
    if found != sha256:
        message = f"{printable(candidate)} has sha256 {found}, verified was {sha256}: cloak the photo again"
        raise PublishError("mismatch", message)
    os.fsync(writer)
    return size


def _place(temporary: tuple[int, str], target: int, name: str, content: tuple[int, str]) -> str:
    """Give the temporary file the first free name, or find its bytes already there; return that name."""
    for number in range(1, _NUMBERS):
        wanted = name if number == 1 else numbered(name, number)
        try:
            _link(temporary, target, wanted)
        except FileExistsError:
            if not _holds(target, wanted, content):
                continue
        return wanted
    raise PublishError("no-name", f"{printable(name)} and {_NUMBERS} numbered names are taken: empty the folder")


def numbered(name: str, number: int) -> str:
    """Return `stem (number).ext`, the name where that of `stem.ext` is taken; a long stem is shortened to fit."""
    path = Path(name)
    stem, ending = path.stem, f" ({number}){path.suffix}"
    while stem and len(os.fsencode(stem + ending)) > _NAME_BYTES:
        stem = stem[:-1]
    return stem + ending


def _link(temporary: tuple[int, str], target: int, name: str) -> None:
    """Give the temporary file a second name, or its only one where the file system knows no links.

    Raises FileExistsError where the name is taken, and OSError.
    """
    top, source = temporary
    try:
        os.link(source, name, src_dir_fd=top, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        rename_without_replacing(temporary, target, name)


def rename_without_replacing(temporary: tuple[int, str], target: int, name: str) -> None:
    """Rename atomically unless the name is taken (Linux renameat2 with RENAME_NOREPLACE).

    Raises FileExistsError and OSError (EOPNOTSUPP where the system has no such call).
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if function is None:
        raise OSError(errno.EOPNOTSUPP, "neither links nor renaming without replacing are supported", name)
    top, source = temporary
    if function(top, os.fsencode(source), target, os.fsencode(name), _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


def _holds(folder: int, name: str, content: tuple[int, str]) -> bool:
    """Return whether a file holds the bytes of this size and sha256."""
    size, sha256 = content
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        opened = os.open(name, _READ, dir_fd=folder)
    except OSError:
        return False
    with os.fdopen(opened, "rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest() == sha256
