"""The private folder that files come into: parts of them, and the check that a whole one is the right one."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uncnn.exporters.registry.catalog import File
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import sha256_of

ABANDONED_SECONDS = 30 * 86_400  # what nobody came back for
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
LARGEST_MEMBER = 1 << 30  # bytes, of what is taken out of a zip
MIRROR = "try --mirror URL or --from FOLDER"


class DownloadError(UncnnError):
    """A file that cannot be had: the message names it, what is wrong, and the remedy."""


class Part:
    """What there is of a file, and the ETag that it came under."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._etag = path.with_name(path.name + ".etag")

    @property
    def size(self) -> int:
        """Return how many bytes are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def headers(self) -> dict[str, str]:
        """Return what asks for the rest of it; bytes are asked for as they are, since the hash is over these."""
        headers = {"Accept-Encoding": "identity"}
        if self.size:
            headers["Range"] = f"bytes={self.size}-"
            if self._etag.is_file():
                headers["If-Range"] = self._etag.read_text()
        return headers

    def begin(self, etag: str) -> None:
        """Start over with a file of this ETag; a weak one does not tell bytes apart."""
        self.remove()
        self.path.touch(mode=0o600)
        if etag.startswith('"'):
            self._etag.write_text(etag)

    def remove(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)
        self._etag.unlink(missing_ok=True)


@contextmanager
def only_pull(data: Path) -> Iterator[Path]:
    """Yield the private folder that files come into, which one pull has at a time.

    Raises:
        DownloadError: another pull has it. OSError: it cannot be made.
    """
    store = data / "downloads"
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = os.open(store / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(f"another pull is at work in {store}: wait for it to end") from error
        for path in store.iterdir():
            if path.name != "lock" and time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink(missing_ok=True)
        yield store
    finally:
        os.close(opened)


def zip_member(path: Path) -> zipfile.ZipInfo | None:
    """Return the one file inside a zip; None where it is no zip, or one that torch itself wrote and reads.

    Raises:
        DownloadError: it holds several files, or is damaged.
    """
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise DownloadError(f"{path}: a damaged zip ({error}); pull it again") from error
    if any(member.filename.endswith("/data.pkl") for member in members):
        return None
    if len(members) != 1:
        raise DownloadError(f"{path}: one file of weights was expected in it, not {len(members)}; {MIRROR}")
    return members[0]


def is_right(path: Path, file: File) -> bool:
    """Return whether the file at `path` has the size and the hash of `file`."""
    if file.bytes is not None and path.stat().st_size != file.bytes:
        return False
    if sha256_of(path).startswith(file.digest):
        return True
    if file.sha256 is not None:
        return False
    member = zip_member(path)  # a head of a hash in a zip's name may be that of what is in it
    if member is None or member.file_size > LARGEST_MEMBER:
        return False
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest().startswith(file.digest)  # type: ignore[arg-type]


def another(found: str, file: File) -> str:
    """Return in words that a file hashes to `found` and not to what it should."""
    return f"its sha256 is {found}, but the catalog says {file.digest}: it is damaged, or another file"


def no_space(part: Part, detail: str) -> str:
    """Return in words that the disk is full."""
    kept = f"; the {part.size:,} bytes that are there are kept" if part.size else ""
    return f"{part.path.parent}: the disk is full: {detail}; free some space and pull again{kept}"


def keep(part: Part, path: Path) -> None:
    """Give a whole and checked file its name, so that it survives a power cut."""
    with part.path.open("rb") as stream:
        os.fsync(stream.fileno())
    part.path.replace(path)
    part.remove()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
