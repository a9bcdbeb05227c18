"""The file that is written in a publish folder before it has its name there: 0600, and nameless where that can be.

A file without a name (`O_TMPFILE`) can be reached by nobody but this process, and is gone when it dies. Where the file
system has none, it has a temporary name. A lock on it tells one that is being written from what a killed run left.
How it comes to its name in the end, and what each file system lets be done, is in `ways`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.files.opening import PublishError
from uncnn.daemon.files.ways import Way
from uncnn.daemon.text import printable

NO_LINKS: Final = {
    *(errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK),
    *(errno.EIO, errno.EINVAL, errno.EXDEV, errno.ENOTTY),
}
"""What file systems answer that have no links or no such renaming: FAT, exFAT, network folders, FUSE. A disk that fails
answers some of them too, and then fails at the next way as well."""

_UNNAMED: Final = getattr(os, "O_TMPFILE", 0) | os.O_WRONLY | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_RENAME_NOREPLACE: Final = 1


class WayUnsupported(Exception):
    """A file cannot come to its name in this way here."""


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

    def link(self, folder: int, name: str) -> Way:
        """Give the file a name in an open folder, by its descriptor, so that nobody can put another in its place.

        Where descriptors cannot be linked its temporary name is, or it is renamed: if that is still its own. Another
        could take its place even then, so the caller has to look at what stands there. Return how it was done.

        Raises FileExistsError (the name is taken), OSError, WayUnsupported and PublishError (`replaced`).
        """
        try:
            os.link(_path_of(self.writer), name, dst_dir_fd=folder, follow_symlinks=True)
        except OSError as error:
            if error.errno not in NO_LINKS | {errno.ENOENT}:
                raise
            if self.name is None:
                raise WayUnsupported from error
            return self._link_by_name(self.name, folder, name)
        return Way.UNNAMED if self.name is None else Way.LINK

    def _link_by_name(self, own: str, folder: int, name: str) -> Way:
        if not self.is_at(self.top, own):
            words = "was replaced by another program while it was written: do not let other users write there"
            raise PublishError("replaced", f"the temporary file of {printable(name)} {words}")
        try:
            os.link(own, name, src_dir_fd=self.top, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
        else:
            return Way.LINK
        try:
            rename_without_replacing((self.top, own), folder, name)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            raise WayUnsupported from error
        return Way.RENAME


def rename_without_replacing(temporary: tuple[int, str], target: int, name: str) -> None:
    """Rename atomically unless the name is taken (Linux renameat2 with RENAME_NOREPLACE).

    Raises FileExistsError and OSError (one of NO_LINKS where the system or the file system has no such call).
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if function is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), name)
    top, source = temporary
    if function(top, os.fsencode(source), target, os.fsencode(name), _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


@contextmanager
def unnamed_draft(top: int) -> Iterator[Draft]:
    """Give a new file without a name in an open folder. Raises WayUnsupported and OSError."""
    if not hasattr(os, "O_TMPFILE"):
        raise WayUnsupported
    try:
        writer = os.open(".", _UNNAMED, 0o600, dir_fd=top)
    except OSError as error:
        if error.errno in NO_LINKS | {errno.EISDIR, errno.EINVAL, errno.ENOENT}:  # each from another file system
            raise WayUnsupported from error
        raise
    try:
        if not Path(_path_of(writer)).exists():  # no /proc: it could never be given a name
            raise WayUnsupported
        yield Draft(top, writer, None)
    finally:
        os.close(writer)


@contextmanager
def named_draft(top: int) -> Iterator[Draft]:
    """Give a new locked file with a temporary name in an open folder; that name is gone afterwards."""
    writer, name = _create_locked(top)
    try:
        yield Draft(top, writer, name)
    finally:
        os.close(writer)  # first: a file that is removed while it is open is there again later, on an rclone mount
        with suppress(FileNotFoundError):  # it was renamed, or a sweep took it
            os.unlink(name, dir_fd=top)


@contextmanager
def closed_draft(top: int, write: Callable[[int], None]) -> Iterator[str]:
    """Give the temporary name of a new file in an open folder that `write` has filled; that name is gone afterwards.

    It is closed by then, since some file systems keep the bytes of a file, or its name, until it is.
    """
    writer, name = _create_locked(top)
    try:
        try:
            write(writer)
        finally:
            os.close(writer)
        yield name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=top)


def _path_of(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _create_locked(top: int) -> tuple[int, str]:
    """Create a temporary file and lock it, and return its descriptor and name; one that a sweep took is made again."""
    while True:
        name = f".uncnn-{secrets.token_hex(8)}.part"
        writer = os.open(name, _CREATE, 0o600, dir_fd=top)
        with suppress(OSError):  # no locks on this file system: a sweep will leave the file alone
            fcntl.flock(writer, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=top, follow_symlinks=False)
            return writer, name
        os.close(writer)
