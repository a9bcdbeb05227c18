"""Folders that other programs write to, opened one component at a time: what is opened is what the path says.

A path that is looked up as a whole leads wherever its folders and links point at that instant, and whoever may write to
one of them chooses. So each component is opened in the one before, and everything later is done by descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError
from uncnn.plugins.system import FOLDERS_CAN_BE_OPENED, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH

READ: Final = os.O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC

_FOLDER: Final = os.O_RDONLY | O_DIRECTORY | O_CLOEXEC
_COMPONENT: Final = O_PATH | O_NOFOLLOW | O_CLOEXEC
_LINKS: Final = 40  # the kernel's own limit for one path
_OTHER_KINDS: Final = {
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "device",
    stat.S_IFCHR: "device",
    stat.S_IFDIR: "folder",
}


class PublishError(UncnnError):
    """A file could not be taken in or published.

    `kind` is for programs: `symlink`, `fifo`, `socket`, `device`, `folder`, `escape`, `changed`, `too-large`,
    `mismatch`, `replaced`, or a fault of the system (`no-space`, `permission`, `read-only`, `missing`, ...).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @classmethod
    def of(cls, error: OSError, thing: Path, doing: str) -> PublishError:
        """Return the error of a system call in plain words: `doing` is what `thing` could not be."""
        kind, words = system_words(error)
        return cls(kind, f"{printable(thing)} cannot be {doing}: {words}")


def safe_parts(relative: Path) -> tuple[str, ...]:
    """Return the components of a path that stays below its root.

    Raises PublishError (`escape`).
    """
    parts = relative.parts
    if not parts or relative.is_absolute() or ".." in parts or "\0" in str(relative):
        message = f"{printable(relative)} points outside of its folder: give a path inside it, without '..'"
        raise PublishError("escape", message)
    return parts


@contextmanager
def opened_folder(root: Path, parts: tuple[str, ...], create: bool = False) -> Iterator[int]:
    """Give a descriptor of the folder `parts` below `root`, opened one component at a time.

    Below `root` no link is followed. On the way to it, which a person wrote, only links are that belong to this user
    or to root: any other could be swapped by whoever owns it.

    Raises PublishError (`symlink`) and OSError.
    """
    top = _opened_root(root)
    try:
        with opened_below(top, root, parts, create) as folder:
            yield folder
    finally:
        os.close(top)


@contextmanager
def opened_below(top: int, root: Path, parts: tuple[str, ...], create: bool = False) -> Iterator[int]:
    """Give a descriptor of the folder `parts` below the open folder `top`; `root` is its path, for messages.

    Raises PublishError (`symlink`) and OSError.
    """
    folder = os.dup(top)
    try:
        for depth, part in enumerate(parts, 1):
            if create:
                _make_folder(folder, part)
            refuse_other(os.stat(part, dir_fd=folder, follow_symlinks=False), root.joinpath(*parts[:depth]), "folder")
            below = os.open(part, _FOLDER | O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _opened_root(root: Path) -> int:
    """Return a descriptor of the folder at a path of a person's choice."""
    if not hasattr(os, "O_PATH"):
        return os.open(root, _FOLDER)
    waiting = list(reversed(root.parts))
    links = 0
    folder = os.open(waiting.pop() if root.is_absolute() else ".", _COMPONENT | O_DIRECTORY)
    try:
        while waiting:
            part = waiting.pop()
            below = _component(folder, part, root)
            if isinstance(below, int):
                os.close(folder)
                folder = below
                continue
            links += 1
            if links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(root))
            waiting += reversed(below.parts)
        return os.open(".", _FOLDER, dir_fd=folder)
    finally:
        os.close(folder)


def _component(folder: int, part: str, root: Path) -> int | Path:
    """Return the descriptor of the folder `part` of an open folder, or where the link of that name leads.

    Raises PublishError (`symlink`): it is a link of another user's. OSError.
    """
    try:
        return os.open(part, _COMPONENT | O_DIRECTORY, dir_fd=folder)
    except NotADirectoryError:
        link = os.open(part, _COMPONENT, dir_fd=folder)
    try:
        found = os.fstat(link)
        if not stat.S_ISLNK(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), part)
        # In a user namespace root may have no number of its own: it is who owns the top of all folders.
        if found.st_uid not in (0, os.geteuid(), Path("/").stat().st_uid):
            words = f"the symbolic link {printable(part)} in its path belongs to another user, who could change it"
            raise PublishError("symlink", f"{printable(root)} cannot be used: {words}; give the folder's real path")
        return Path(os.readlink("", dir_fd=link))
    finally:
        os.close(link)


def _make_folder(parent: int, name: str) -> None:
    """Make a folder that outlives a power failure, even where a killed process made it and no more."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=parent)
    sync_folder(parent)


def make_durable(folder: Path, mode: int = 0o777, parents: bool = True) -> None:
    """Make a folder, and those above it that are missing, so that they outlive a power failure. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=mode, parents=parents, exist_ok=True)
    for each in missing if FOLDERS_CAN_BE_OPENED else ():
        with suppress(PermissionError):  # one may make folders where one may not look
            parent = os.open(each.parent, _FOLDER)
            try:
                sync_folder(parent)
            finally:
                os.close(parent)


def give_to_owner_above(folder: Path) -> None:
    """Give an empty folder that root made to whose folder it lies in, who could not use it. Raises OSError."""
    above = folder.parent.stat()
    if os.geteuid() or not above.st_uid:
        return
    opened = os.open(folder, _FOLDER | O_NOFOLLOW)
    try:
        # Where the owner of what lies above has put another one there, it is none of these.
        if not os.fstat(opened).st_uid and not os.listdir(opened):  # noqa: PTH208 (by descriptor)
            os.fchown(opened, above.st_uid, above.st_gid)
    finally:
        os.close(opened)


def sync_folder(folder: int) -> None:
    """Make the names in an open folder durable, where the file system knows how (SMB and some FUSE do not)."""
    _sync(folder)


def sync_file(file: int) -> None:
    """Make the bytes of an open file durable, where the file system knows how."""
    _sync(file)


def _sync(opened: int) -> None:
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF):
            raise


def open_file(folder: int, name: str) -> int | None:
    """Return a descriptor, to read, of the regular file of a name in an open folder; None: it is none to be read."""
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return None  # a device may act on being opened
        opened = os.open(name, READ, dir_fd=folder)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    return None


def refuse_other(found: os.stat_result, path: Path, wanted: str) -> None:
    """Raise PublishError where `found` is not the wanted kind, `file` or `folder`."""
    is_wanted = stat.S_ISDIR if wanted == "folder" else stat.S_ISREG
    if not is_wanted(found.st_mode):
        kind = _OTHER_KINDS.get(stat.S_IFMT(found.st_mode), "file")
        raise PublishError(kind, f"{printable(path)} is a {kind}, not a {wanted}: put the photo itself there")
