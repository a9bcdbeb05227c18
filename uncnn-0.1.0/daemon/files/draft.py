"""The file that is written in a publish folder before it has its name there: 0600, and nameless where that can be.

A file without a name (`O_TMPFILE`) can be reached by nobody but this process, and is gone when it dies. Where the file
system has none, it has a temporary name. A lock on it tells one that is being written from what a killed run left.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.files.opening import PublishError, open_file, opened_folder
from uncnn.daemon.wording import printable

NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}  # FAT, exFAT, some network folders

_UNNAMED: Final = getattr(os, "O_TMPFILE", 0) | os.O_WRONLY | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY: Final = re.compile(r"\.uncnn-[0-9a-f]{16}\.part")
_RENAME_NOREPLACE: Final = 1


class UnnamedUnsupported(Exception):
    """Files without names do not exist here, or could not be given one later."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that is being written in an open folder."""

    top: int  # descriptor of the folder
    writer: int  # descriptor of the file
    name: str | None  # in that folder; None: it has none

    def is_at(self, folder: int, name: str) -> bool:
        """Return whether this very file has the name in an open folder."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(self.writer))

    def link(self, folder: int, name: str) -> None:
        """Give the file a name in an open folder, by its descriptor, so that nobody can put another in its place.

        Where descriptors cannot be linked its temporary name is, or it is renamed: if that is still its own. Another
        could take its place even then, so the caller has to look at what stands there.

        Raises FileExistsError (the name is taken), OSError, UnnamedUnsupported and PublishError (`replaced`).
        """
        try:
            os.link(_path_of(self.writer), name, dst_dir_fd=folder, follow_symlinks=True)
        except OSError as error:
            if error.errno not in NO_LINKS | {errno.ENOENT}:
                raise
            if self.name is None:
                raise UnnamedUnsupported from error
            self._link_by_name(self.name, folder, name)

    def _link_by_name(self, own: str, folder: int, name: str) -> None:
        if not self.is_at(self.top, own):
            words = "was replaced by another program while it was written: take the right to write there from others"
            raise PublishError("replaced", f"the temporary file of {printable(name)} {words}")
        try:
            os.link(own, name, src_dir_fd=self.top, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            rename_without_replacing((self.top, own), folder, name)


def rename_without_replacing(temporary: tuple[int, str], target: int, name: str) -> None:
    """Rename atomically unless the name is taken (Linux renameat2 with RENAME_NOREPLACE).

    Raises FileExistsError and OSError (EOPNOTSUPP where the system or the file system has no such call).
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if function is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), name)
    top, source = temporary
    if function(top, os.fsencode(source), target, os.fsencode(name), _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        if code in {errno.EINVAL, errno.ENOSYS}:  # exFAT by FUSE
            code = errno.EOPNOTSUPP
        raise OSError(code, os.strerror(code), name)


@contextmanager
def unnamed_draft(top: int) -> Iterator[Draft]:
    """Give a new file without a name in an open folder. Raises UnnamedUnsupported and OSError."""
    if not hasattr(os, "O_TMPFILE"):
        raise UnnamedUnsupported
    try:
        writer = os.open(".", _UNNAMED, 0o600, dir_fd=top)
    except OSError as error:
        if error.errno in NO_LINKS | {errno.EISDIR, errno.EINVAL, errno.ENOENT}:  # each from another file system
            raise UnnamedUnsupported from error
        raise
    try:
        if not Path(_path_of(writer)).exists():  # no /proc: it could never be given a name
            raise UnnamedUnsupported
        yield Draft(top, writer, None)
    finally:
        os.close(writer)


@contextmanager
def named_draft(top: int) -> Iterator[Draft]:
    """Give a new locked file with a temporary name in an open folder; that name is gone afterwards."""
    draft = _create_locked(top)
    try:
        yield draft
    finally:
        if draft.name is not None and draft.is_at(top, draft.name):
            os.unlink(draft.name, dir_fd=top)
        os.close(draft.writer)


def _path_of(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _create_locked(top: int) -> Draft:
    """Create a temporary file and lock it; one that a sweep took in between is created again."""
    while True:
        name = f".uncnn-{secrets.token_hex(8)}.part"
        writer = os.open(name, _CREATE, 0o600, dir_fd=top)
        with suppress(OSError):  # no locks on this file system: a sweep will leave the file alone
            fcntl.flock(writer, fcntl.LOCK_EX)
        if os.fstat(writer).st_nlink:
            return Draft(top, writer, name)
        os.close(writer)


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
    opened = open_file(top, name)
    if opened is None:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=top)
    except OSError:  # its writer is alive, or the file system knows no locks
        return False
    finally:
        os.close(opened)
    return True
