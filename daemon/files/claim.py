"""Giving a file its name where there are neither links nor renaming that never replaces: the name is claimed first.

Creating a file under a name fails everywhere where that is taken. So a file that holds nothing but the name of the
temporary one takes it, and the whole one is renamed over that; where not even this can be done, its bytes are copied
into it. A note beside the temporary file says which name is claimed, and is gone when the whole file stands there: what
a killed run left is told by it and removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from uncnn.daemon.files.opening import READ, PublishError, open_file, sync_file, sync_folder
from uncnn.daemon.files.ways import Way
from uncnn.daemon.text import printable

NOTE: Final = re.compile(r"\.uncnn-[0-9a-f]{16}\.claim")
TEMPORARY: Final = re.compile(r"\.uncnn-[0-9a-f]{16}\.part")

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK: Final = 1 << 20
_NOTE_BYTES: Final = 4096
_NO_RENAME: Final = {
    *(errno.EPERM, errno.EACCES, errno.EEXIST, errno.EIO, errno.EINVAL),
    *(errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY),
}
"""What file systems answer that cannot rename over a file."""


def note_of(temporary: str) -> str:
    """Return the name of the note beside a temporary file."""
    return temporary.removesuffix(".part") + ".claim"


def place_by_claim(top: int, temporary: str, target: int, relative: Path) -> Way:
    """Give the whole temporary file of the open folder `top` the name of `relative` in the open folder `target`.

    `relative` is below `top`. The temporary file has to be closed: some file systems keep its bytes until then. It is
    gone afterwards.

    Raises FileExistsError (the name is taken), PublishError (`replaced`) and OSError.
    """
    with _locked(top), _noted(top, temporary, relative):
        mode = stat.S_IMODE(os.stat(temporary, dir_fd=top, follow_symlinks=False).st_mode)
        writer = os.open(relative.name, _CREATE, 0o600, dir_fd=target)
        try:
            _mark(writer, temporary)
            way = _fill(top, temporary, target, relative.name, mode)
            sync_folder(target)  # before the note is gone
            return way
        except PublishError:
            raise
        except BaseException:
            with suppress(OSError):  # the disk fails, or the file is gone
                if is_part(top, temporary, target, relative.name):
                    os.unlink(relative.name, dir_fd=target)
            raise


def _fill(top: int, temporary: str, target: int, name: str, mode: int) -> Way:
    """Let the claimed name be the whole file: by renaming, or by copying where that cannot be."""
    if _content(target, name) != os.fsencode(temporary):
        words = "was replaced by another program while it was published: do not let other users write there"
        raise PublishError("replaced", f"{printable(name)} {words}")
    try:
        os.rename(temporary, name, src_dir_fd=top, dst_dir_fd=target)
    except OSError as error:
        if error.errno not in _NO_RENAME:
            raise
    else:
        return Way.CLAIM
    _copy(top, temporary, target, name, mode)
    os.unlink(temporary, dir_fd=top)
    return Way.COPY


def _mark(writer: int, temporary: str) -> None:
    """Write into a claimed file whose it is, and close it.

    An empty one would be written by an rclone mount only later, over what stands under its name by then.
    """
    try:
        os.write(writer, os.fsencode(temporary))
        sync_file(writer)
    finally:
        os.close(writer)


def _copy(top: int, temporary: str, target: int, name: str, mode: int) -> None:
    """Copy the temporary file into the claimed one, and let it have the same times and permissions."""
    reader = os.open(temporary, READ, dir_fd=top)
    try:
        writer = os.open(name, _WRITE, dir_fd=target)
        try:
            os.ftruncate(writer, 0)
            while chunk := os.read(reader, _CHUNK):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(writer, rest) :]
            found = os.fstat(reader)
            with suppress(OSError):  # of a file system without times or permissions of its own
                os.utime(writer, ns=(found.st_mtime_ns, found.st_mtime_ns))
                os.fchmod(writer, mode)
            sync_file(writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


@contextmanager
def _locked(top: int) -> Iterator[None]:
    """Let no other process claim a name in this folder meanwhile, where the file system has locks for folders."""
    with suppress(OSError):
        fcntl.flock(top, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(top, fcntl.LOCK_UN)


@contextmanager
def _noted(top: int, temporary: str, relative: Path) -> Iterator[None]:
    """Keep a locked note of the name that is claimed inside the block."""
    note = note_of(temporary)
    writer = os.open(note, _CREATE, 0o600, dir_fd=top)
    try:
        with suppress(OSError):  # no locks on this file system
            fcntl.flock(writer, fcntl.LOCK_EX)
        os.write(writer, os.fsencode(relative))
        sync_file(writer)
        sync_folder(top)
        yield
    finally:
        os.close(writer)
        with suppress(FileNotFoundError):
            os.unlink(note, dir_fd=top)


def _content(folder: int, name: str) -> bytes:
    """Return the first bytes of a file in an open folder, none of anything else."""
    opened = open_file(folder, name)
    if opened is None:
        return b""
    with os.fdopen(opened, "rb") as reader:
        return reader.read(_NOTE_BYTES)


def is_part(top: int, temporary: str, target: int, name: str) -> bool:
    """Return whether a file holds the mark of the temporary one, or the beginning of either and less than all.

    Zeros may follow: a power failure leaves them where bytes were not yet on the disk.
    """
    opened = open_file(target, name)
    if opened is None:
        return False
    mark = os.fsencode(temporary)
    with os.fdopen(opened, "rb") as part:
        if os.fstat(opened).st_size <= len(mark):
            return mark.startswith(part.read().rstrip(b"\0"))
        whole = open_file(top, temporary)
        if whole is None:
            return False
        with os.fdopen(whole, "rb") as all_of_it:
            return _begins(part, all_of_it) and os.fstat(opened).st_size <= os.fstat(whole).st_size


def _begins(part: BinaryIO, whole: BinaryIO) -> bool:
    """Return whether `part` is the beginning of `whole`, or that and zeros, and not all of it."""
    is_same = True
    while chunk := part.read(_CHUNK):
        same = whole.read(len(chunk))
        at = _agree(chunk, same) if is_same else 0
        if chunk[at:].strip(b"\0"):
            return False
        is_same = is_same and at == len(chunk)
    return not is_same or bool(whole.read(1))


def _agree(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts begin with alike."""
    if one == other:
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
