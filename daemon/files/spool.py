"""A private snapshot of a source file: what is decoded, judged and published is what was hashed here.

The source lies in a folder that other programs write to, so that its path cannot be trusted: every component is opened
on its own without following links, and whatever is not a regular file is refused before it is opened.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.files.opening import PublishError, opened_folder, refuse_other, safe_parts
from uncnn.daemon.text import printable

SIZE_LIMIT: Final = 500_000_000  # bytes

CLIP_LIMIT: Final = 200_000_000_000
"""Bytes of a video at most."""

_SOURCE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy in the spool, and what the source was when it was copied."""

    path: Path
    sha256: str
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int


def size_limit_of(relative: Path) -> int:
    """Return how many bytes a file of this name may have."""
    return CLIP_LIMIT if is_video_name(relative.name) else SIZE_LIMIT


def snapshot(root: Path, relative: Path, spool: Path, size_limit: int | None = None) -> Snapshot:
    """Copy `relative` below `root` into the folder `spool` as a private file of random name, hashing it.

    It may have `size_limit` bytes, by default as many as a file of its name.

    `root` itself may be reached through links of this user's or root's, nothing below it may be a link. The spool
    folder is made 0700 where missing.

    Raises PublishError.
    """
    source = root / relative
    parts = safe_parts(relative)
    try:
        with opened_folder(root, parts[:-1]) as folder:
            return _copied(folder, parts[-1], source, spool, size_limit or size_limit_of(relative))
    except OSError as error:
        raise PublishError.of(error, source, "read") from error


def _copied(folder: int, name: str, source: Path, spool: Path, size_limit: int) -> Snapshot:
    """Return the snapshot of `name` in an open folder."""
    refuse_other(os.stat(name, dir_fd=folder, follow_symlinks=False), source, "file")
    opened = os.open(name, _SOURCE, dir_fd=folder)
    try:
        before = os.fstat(opened)
        refuse_other(before, source, "file")
        if before.st_size > size_limit:
            raise _too_large(source, before.st_size, size_limit)
        target = _spool_file(spool)
        try:
            size, sha256 = _copy_into(target, opened, source, size_limit)
            after = os.fstat(opened)
            if _state(before) != _state(after) or size != after.st_size:
                words = "changed while it was being copied: wait until it is written, then try again"
                raise PublishError("changed", f"{printable(source)} {words}")
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    finally:
        os.close(opened)
    return Snapshot(target, sha256, size, after.st_mtime_ns, after.st_ctime_ns, after.st_dev, after.st_ino)


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _too_large(source: Path, size: int, size_limit: int) -> PublishError:
    found = f"{printable(source)} has {size / 1e6:.0f} MB, the limit is {size_limit / 1e6:g} MB"
    return PublishError("too-large", f"{found}: make it smaller")


def _spool_file(spool: Path) -> Path:
    """Return a new empty file in the spool, 0600."""
    target = spool / f"{secrets.token_hex(16)}.spool"
    try:
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(target, _CREATE, 0o600))
    except OSError as error:
        raise PublishError.of(error, spool, "written") from error
    return target


def _copy_into(target: Path, opened: int, source: Path, size_limit: int) -> tuple[int, str]:
    """Copy an open source into the spool file; return its size and sha256."""
    writer = os.open(target, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size, sha256 = copy_hashed(opened, writer, size_limit, target)
    finally:
        os.close(writer)
    if size > size_limit:
        raise _too_large(source, size, size_limit)
    return size, sha256


def copy_hashed(reader: int, writer: int, size_limit: int, target: Path) -> tuple[int, str]:
    """Copy between descriptors until the end or past `size_limit` bytes; return the bytes and their sha256.

    Raises PublishError where `target` cannot be written, and OSError where the reader fails.
    """
    digest = hashlib.sha256()
    size = 0
    while size <= size_limit and (chunk := os.read(reader, _CHUNK)):
        digest.update(chunk)
        size += len(chunk)
        rest = memoryview(chunk)
        while rest:
            try:
                rest = rest[os.write(writer, rest) :]
            except OSError as error:
                raise PublishError.of(error, target, "written") from error
    return size, digest.hexdigest()
