"""Releasing a file: exactly the bytes that were verified, whole or not at all, and never over another file.

The file is written in the publish folder itself (a rename across mounts fails), given its name by its descriptor, which
fails where the name is taken, and then looked at under that name: in a folder that others may write, what stands there
may be another's. A name that holds the same bytes is the file, released before.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.files.draft import Draft, UnnamedUnsupported, named_draft, sweep, unnamed_draft
from uncnn.daemon.files.opening import (
    READ,
    PublishError,
    open_file,
    opened_below,
    opened_folder,
    safe_parts,
    sync_folder,
)
from uncnn.daemon.files.spool import Snapshot, copy_hashed, snapshot
from uncnn.daemon.wording import printable

__all__ = ["PublishError", "Snapshot", "publish", "snapshot", "sweep"]

_NAME_BYTES: Final = 255
_NUMBERS: Final = 10_000
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Release:
    """What is to be released, and where."""

    candidate: Path
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
    """Release `candidate` as `relative` in the publish folder, and return where it stands.

    `folder` must exist; folders below it are made. A file of that name with the same bytes is the answer; with other
    bytes it is left alone, and the name gets a number: `stem (2).ext`. `sha256` is that of the verified bytes.
    `mode` are its permission bits (None: 0644 and the umask), `mtime_ns` when it was changed (None: now).

    Raises PublishError; no temporary file is left then. Its kind `replaced` says that another program took the file
    away or put one of its own there: that one is left alone.
    """
    release = _Release(candidate, folder, safe_parts(relative), sha256, mode, mtime_ns)
    try:
        with opened_folder(folder, ()) as top:
            try:
                placed = _write(release, top, unnamed_draft)
            except UnnamedUnsupported:
                placed = _write(release, top, named_draft)
    except OSError as error:
        raise PublishError.of(error, folder / relative, "published") from error
    return release.path.with_name(placed)


def _write(release: _Release, top: int, new_draft: Callable[[int], AbstractContextManager[Draft]]) -> str:
    """Write the file, give it its name and make both durable; return the name. Permissions are widened last."""
    with new_draft(top) as draft:
        size = _fill(draft.writer, release)
        if release.mtime_ns is not None:
            os.utime(draft.writer, ns=(release.mtime_ns, release.mtime_ns))
        os.fchmod(draft.writer, 0o644 & ~_umask() if release.mode is None else release.mode)
        os.fsync(draft.writer)
        with opened_below(top, release.folder, release.parts[:-1], create=True) as target:
            placed = _place(draft, target, release, size)
            sync_folder(target)
            _find_again(target, release)
    return placed


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it: a tight one, for that instant."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _fill(writer: int, release: _Release) -> int:
    """Copy the candidate into the file that is written; return its size in bytes.

    Raises PublishError (`mismatch`) where the bytes are not the verified ones.
    """
    candidate = release.candidate
    try:
        reader = os.open(candidate, READ)
    except OSError as error:
        raise PublishError.of(error, candidate, "read") from error
    try:
        size, found = copy_hashed(reader, writer, sys.maxsize, release.path)
    except OSError as error:
        raise PublishError.of(error, candidate, "read") from error
    finally:
        os.close(reader)
    if found != release.sha256:
        message = f"{printable(candidate)} has sha256 {found}, verified was {release.sha256}: cloak the photo again"
        raise PublishError("mismatch", message)
    return size


def _place(draft: Draft, target: int, release: _Release, size: int) -> str:
    """Give the file the first free name, or find its bytes already there; return that name. Raises PublishError."""
    name = release.parts[-1]
    for number in range(1, _NUMBERS):
        wanted = name if number == 1 else numbered(name, number)
        try:
            _link(draft, target, wanted)
        except FileExistsError:
            if not _holds(target, wanted, size, release.sha256):
                continue
        else:
            _confirm(draft, target, release.path.with_name(wanted), size, release.sha256)
        return wanted
    raise PublishError("no-name", f"{printable(name)} and {_NUMBERS} numbered names are taken: empty the folder")


def numbered(name: str, number: int) -> str:
    """Return `stem (number).ext`, the name where that of `stem.ext` is taken; a long stem is shortened to fit."""
    path = Path(name)
    stem, ending = path.stem, f" ({number}){path.suffix}"
    while stem and len(os.fsencode(stem + ending)) > _NAME_BYTES:
        stem = stem[:-1]
    return stem + ending


def _link(draft: Draft, target: int, name: str) -> None:
    draft.link(target, name)


def _confirm(draft: Draft, target: int, path: Path, size: int, sha256: str) -> None:
    """Look at what stands under the released name: the file that was written, with the verified bytes in it.

    Raises PublishError: `replaced` where it is another's file, which is left alone; `mismatch` where it is ours with
    other bytes in it, and is removed.
    """
    is_whole = _holds(target, path.name, size, sha256)
    if not draft.is_at(target, path.name):
        words = "was replaced by another program while it was published: take the right to write there from others"
        raise PublishError("replaced", f"{printable(path)} {words}")
    if not is_whole:
        os.unlink(path.name, dir_fd=target)
        words = "did not keep the verified bytes: check the disk, and what else runs as this user"
        raise PublishError("mismatch", f"{printable(path)} {words}")


def _find_again(target: int, release: _Release) -> None:
    """Open the folder once more by its path. Raises PublishError (`replaced`): it leads to another by now."""
    with opened_folder(release.folder, release.parts[:-1]) as found:
        if not os.path.samestat(os.fstat(found), os.fstat(target)):
            words = "was replaced by another program while a photo was published into it: keep it from others"
            raise PublishError("replaced", f"{printable(release.path.parent)} {words}")


def _holds(folder: int, name: str, size: int, sha256: str) -> bool:
    """Return whether a regular file holds the bytes of this size and sha256."""
    opened = open_file(folder, name)
    if opened is None:
        return False
    try:
        return os.fstat(opened).st_size == size and _digest(opened, size) == sha256
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
