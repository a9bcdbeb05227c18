"""Publishing a file: exactly the bytes that were verified, whole or not at all, and never over another file.

The file is written in the publish folder itself (a rename across mounts fails), given its name by its descriptor, which
fails where the name is taken, and then looked at under that name: in a folder that others may write, what stands there
may be another's. A name that holds the same bytes is the file, put before. Where the file system cannot do so, the
next of `ways` is taken.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.files.claim import place_by_claim
from uncnn.daemon.files.draft import Draft, WayUnsupported, closed_draft, named_draft, unnamed_draft
from uncnn.daemon.files.leftovers import sweep
from uncnn.daemon.files.names import LEAST_BYTES, longest_name, numbered
from uncnn.daemon.files.opening import (
    READ,
    PublishError,
    opened_below,
    opened_folder,
    safe_parts,
    sync_file,
    sync_folder,
)
from uncnn.daemon.files.spool import Snapshot, copy_hashed, snapshot
from uncnn.daemon.files.standing import holds, reads_as
from uncnn.daemon.files.ways import Way
from uncnn.daemon.text import printable

__all__ = ["PublishError", "Snapshot", "publish", "snapshot", "sweep", "way_into"]

_NUMBERS: Final = 10_000
_NOT_KEPT: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""What file systems answer that have no times or permissions of their own."""


@dataclass(frozen=True, slots=True)
class _Release:
    """What is to be published, and where."""

    candidate: Path | bytes
    folder: Path
    parts: tuple[str, ...]  # below the folder
    sha256: str  # of the verified bytes
    mode: int | None
    mtime_ns: int | None

    @property
    def path(self) -> Path:
        """Return where it is to stand."""
        return self.folder.joinpath(*self.parts)


def publish(
    candidate: Path,
    folder: Path,
    relative: Path,
    sha256: str,
    mode: int | None = None,
    mtime_ns: int | None = None,
) -> Path:
    """Publish `candidate` as `relative` in the publish folder, and return where it stands.

    `folder` must exist; folders below it are made. A file of that name with the same bytes is the answer; with other
    bytes it is left alone, and the name gets a number: `stem (2).ext`. `sha256` is that of the verified bytes.
    `mode` are its permission bits (None: 0644 and the umask), `mtime_ns` when it was changed (None: now).

    Raises PublishError; no temporary file is left then. Its kind `replaced` says that another program took the file
    away or put one of its own there: that one is left alone.
    """
    release = _Release(candidate, folder, safe_parts(relative), sha256, mode, mtime_ns)
    try:
        placed, _ = _released(release)
    except OSError as error:
        raise PublishError.of(error, folder / relative, "published") from error
    return release.path.with_name(placed)


def way_into(folder: Path) -> Way:
    """Return in which way files come to their names in this folder, found out with one that is removed again.

    Raises PublishError: there is none, or the folder cannot be written to.
    """
    content = secrets.token_hex(32).encode()
    name = f".uncnn-{secrets.token_hex(8)}.part"  # what a killed run leaves of it is swept
    try:
        placed, way = _released(_Release(content, folder, (name,), hashlib.sha256(content).hexdigest(), None, None))
        (folder / placed).unlink()
    except OSError as error:
        raise PublishError.of(error, folder, "published into") from error
    return way


def _released(release: _Release) -> tuple[str, Way]:
    """Write the file and give it its name in the first way that the file system knows; return both."""
    with opened_folder(release.folder, ()) as top:
        for new_draft in (unnamed_draft, named_draft):
            with suppress(WayUnsupported):
                return _write(release, top, new_draft)
        return _write_claiming(release, top)


def _write(release: _Release, top: int, new_draft: Callable[[int], AbstractContextManager[Draft]]) -> tuple[str, Way]:
    """Write the file, give it its name and make both durable; return the name, and how. Raises WayUnsupported."""
    with new_draft(top) as draft:
        size = _fill(draft.writer, release)
        _finish(draft.writer, release)
        with opened_below(top, release.folder, release.parts[:-1], create=True) as target:
            placed, way = _place(target, release, size, lambda name: _link(draft, target, name))
            if way is not None:
                _confirm(draft, target, release.path.with_name(placed), size, release.sha256)
            sync_folder(target)
            _find_again(target, release)
    return placed, way or Way.UNNAMED


def _write_claiming(release: _Release, top: int) -> tuple[str, Way]:
    """Do the same where a name can only be claimed."""
    size = 0

    def write(writer: int) -> None:
        nonlocal size
        size = _fill(writer, release)
        _finish(writer, release)

    with (
        closed_draft(top, write) as temporary,
        opened_below(top, release.folder, release.parts[:-1], create=True) as target,
    ):
        below = Path(*release.parts)
        placed, way = _place(
            target, release, size, lambda name: place_by_claim(top, temporary, target, below.with_name(name))
        )
        sync_folder(target)
        if not reads_as(target, placed, size, release.sha256):
            raise _not_ours(release.path.with_name(placed))
        _find_again(target, release)
    return placed, way or Way.CLAIM


def _finish(writer: int, release: _Release) -> None:
    """Give a file that is written its times and permissions, and make it durable. Permissions are widened last."""
    if release.mtime_ns is not None:
        try:
            os.utime(writer, ns=(release.mtime_ns, release.mtime_ns))
        except OSError as error:
            if error.errno not in _NOT_KEPT:
                raise
    wanted = 0o644 & ~_umask() if release.mode is None else release.mode
    try:
        os.fchmod(writer, wanted)
    except OSError as error:
        kept = stat.S_IMODE(os.fstat(writer).st_mode)
        if error.errno not in _NOT_KEPT or (release.mode is not None and kept & ~release.mode):
            raise
    sync_file(writer)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it: a tight one, for that instant."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _fill(writer: int, release: _Release) -> int:
    """Copy the candidate into the file that is written; return its size in bytes.

    Raises PublishError (`mismatch`) where the bytes are not the verified ones.
    """
    name = release.candidate if isinstance(release.candidate, Path) else release.path
    try:
        reader = _opened(release.candidate)
    except OSError as error:
        raise PublishError.of(error, name, "read") from error
    try:
        size, found = copy_hashed(reader, writer, sys.maxsize, release.path)
    except OSError as error:
        raise PublishError.of(error, name, "read") from error
    finally:
        os.close(reader)
    if found != release.sha256:
        message = f"{printable(name)} has the sha256 {found}, but {release.sha256} was verified: cloak the photo again"
        raise PublishError("mismatch", message)
    return size


def _opened(candidate: Path | bytes) -> int:
    """Return a descriptor to read a file, or so few bytes that a pipe holds them."""
    if isinstance(candidate, Path):
        return os.open(candidate, READ)
    reader, writer = os.pipe()
    os.write(writer, candidate)
    os.close(writer)
    return reader


def _place(target: int, release: _Release, size: int, give: Callable[[str], Way]) -> tuple[str, Way | None]:
    """Give the file the first free name, or find its bytes already there; return that name, and how (None: it was).

    Raises PublishError and OSError.
    """
    try:
        return _place_within(target, release, size, give, longest_name(release.folder))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    return _place_within(target, release, size, give, LEAST_BYTES)


def _place_within(
    target: int, release: _Release, size: int, give: Callable[[str], Way], longest: int
) -> tuple[str, Way | None]:
    """Do so with names of so many bytes at most."""
    name = release.parts[-1]
    for number in range(1, _NUMBERS):
        wanted = numbered(name, number, longest)
        try:
            return wanted, give(wanted)
        except FileExistsError:
            if holds(target, wanted, size, release.sha256):
                return wanted, None
    raise PublishError("no-name", f"{printable(name)} and {_NUMBERS} numbered names exist already: empty the folder")


def _link(draft: Draft, target: int, name: str) -> Way:
    return draft.link(target, name)


def _confirm(draft: Draft, target: int, path: Path, size: int, sha256: str) -> None:
    """Look at what stands under the published name: the file that was written, with the verified bytes in it.

    On sshfs, mergerfs and others a file seems to be another one under its new name. So of one that had a temporary name
    only the bytes are asked for.

    Raises PublishError: `replaced` where it is another's file, which is left alone; `mismatch` where it is ours with
    other bytes in it, and is removed.
    """
    is_whole = reads_as(target, path.name, size, sha256)
    is_ours = draft.is_at(target, path.name)
    if not is_ours and (draft.name is None or not is_whole):
        raise _not_ours(path)
    if not is_whole:
        os.unlink(path.name, dir_fd=target)
        words = "does not contain the verified bytes: check the disk, and other programs of this user"
        raise PublishError("mismatch", f"{printable(path)} {words}")


def _not_ours(path: Path) -> PublishError:
    words = "was replaced by another program while it was published: do not let other users write there"
    return PublishError("replaced", f"{printable(path)} {words}")


def _find_again(target: int, release: _Release) -> None:
    """Open the folder once more by its path. Raises PublishError (`replaced`): it leads to another by now."""
    with opened_folder(release.folder, release.parts[:-1]) as found:
        if not os.path.samestat(os.fstat(found), os.fstat(target)):
            words = (
                "was replaced by another program while a photo was published into it: do not let other users change it"
            )
            raise PublishError("replaced", f"{printable(release.path.parent)} {words}")
