"""Where an archive's photos, copies and records lie: a folder of this machine, or a place that fsspec knows.

A record is put only where none stands yet: on S3 by `If-None-Match: *`, in a folder by a hard link to a whole file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from uncnn.daemon.files.opening import PublishError, safe_parts, sync_folder
from uncnn.daemon.files.spool import SIZE_LIMIT, snapshot
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError
from uncnn.plugins.extras import require

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Answer = TypeVar("Answer")

TEMPORARY: Final = ".uncnn-new"
"""A folder of files that are being written, at the top of a store on this machine."""

_PLACES: Final = "write a folder, or a URL such as s3://bucket/folder"
_ABANDONED_SECONDS: Final = 86_400.0
_NO_NAME: Final = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EISDIR})
"""Where no file can have a name: it is too long, has what the disk refuses, or leads through a file."""

_WAITS: Final = (0.5, 2.0, 8.0)
"""Seconds between attempts at a store that does not answer; its own library tried each several times."""


class StoreError(UncnnError):
    """A store cannot be reached, read or written: nothing that a photo could help."""


class Missing(UncnnError):
    """There is nothing of this key and can be nothing, or it may not be read: that is the matter of one photo."""


class Refused(Missing):
    """A photo may not be read; where that is so of one after the other, none may be."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A photo in a private file."""

    path: Path
    sha256: str
    size: int  # bytes


class Store(Protocol):
    """Files by their keys: relative paths with slashes. Its calls raise StoreError besides what they say."""

    @property
    def url(self) -> str:
        """Return where it is, as it opens again."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write a file, whole or not at all, over what stood there."""
        ...

    def put_new(self, key: str, data: bytes, mode: int | None = None, mtime_ns: int | None = None) -> bool:
        """Write a file, whole or not at all, where none stands; return whether none did. Raises Missing: none can.

        `mode` are its permission bits, `mtime_ns` when it was changed, where files have such; None: the usual, and now.
        """
        ...

    def read(self, key: str) -> bytes:
        """Return the bytes of a file. Raises Missing."""
        ...

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        """Return the bytes of several files, side by side where the store can. Raises Missing."""
        ...

    def fetch(self, key: str, folder: Path) -> Fetched:
        """Copy a file into a private folder. Raises Missing."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin so: whole folders, `done/`, or with the beginning of a name behind them."""
        ...

    def remove(self, key: str) -> None:
        """Remove a file, if it is there."""
        ...


def open_store(url: str) -> Store:
    """Return the store of a folder, or of a URL of fsspec. Raises StoreError, MissingPackage."""
    scheme, sign, rest = url.partition("://")
    if sign and not rest:
        raise StoreError(f"{printable(url)} names nothing: {_PLACES}")
    if not rest or scheme in ("file", "local"):
        return FolderStore(Path(rest or url).resolve())
    return RemoteStore(url.rstrip("/"))


@dataclass(frozen=True, slots=True)
class FolderStore:
    """A folder of this machine, or one that it mounts."""

    root: Path

    @property
    def url(self) -> str:
        """Return the path."""
        return str(self.root)

    def put(self, key: str, data: bytes) -> None:
        """Write a file in one rename."""
        self._put(key, data, lambda new, path: new.replace(path))

    def put_new(self, key: str, data: bytes, mode: int | None = None, mtime_ns: int | None = None) -> bool:
        """Write a file and link it to its name, which fails where that is taken."""
        path = self._path(key)
        try:
            if path.exists():
                return False
        except OSError as error:
            raise self._failed(error, path, "written") from error
        try:
            self._put(key, data, lambda new, path: path.hardlink_to(new), mode, mtime_ns)
        except FileExistsError:
            return False
        return True

    def read(self, key: str) -> bytes:
        """Return the bytes of a file."""
        path = self._path(key)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise Missing(f"{printable(path)} is not there") from error
        except OSError as error:
            raise self._failed(error, path, "read") from error

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        """Return the bytes of several files."""
        return [self.read(key) for key in keys]

    def fetch(self, key: str, folder: Path) -> Fetched:
        """Copy a file, reached without following a link below the store's folder."""
        try:
            taken = snapshot(self.root, Path(key), folder)
        except PublishError as error:
            if error.kind in ("no-space", "read-only", "too-many-files", "stale", "input-output"):
                raise StoreError(str(error)) from error
            raise Missing(str(error)) from error
        return Fetched(taken.path, taken.sha256, taken.size)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield keys folder by folder, in the order of their names."""
        folder = prefix.rpartition("/")[0]
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(self.root / folder) as listing:
                    entries = sorted((each.name, each.is_dir(follow_symlinks=False)) for each in listing)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._failed(error, self.root / folder, "listed") from error
            below = [f"{folder}/{entry}" if folder else entry for entry, is_folder in entries if is_folder]
            waiting += [each for each in reversed(below) if each.startswith(prefix)]
            found = (f"{folder}/{entry}" if folder else entry for entry, is_folder in entries if not is_folder)
            yield from (each for each in found if each.startswith(prefix))

    def remove(self, key: str) -> None:
        """Remove a file."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error, path, "removed") from error

    def sweep(self) -> None:
        """Remove what killed processes were writing; younger than a day it may be another's at work."""
        with suppress(OSError):
            for path in (self.root / TEMPORARY).iterdir():
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                        path.unlink()

    def _path(self, key: str) -> Path:
        """Return where a key lies, never outside of the folder: keys may come from a store of somebody else's."""
        try:
            return self.root.joinpath(*safe_parts(Path(key)))
        except PublishError as error:
            raise Missing(str(error)) from error

    def _put(
        self,
        key: str,
        data: bytes,
        place: Callable[[Path, Path], Any],
        mode: int | None = None,
        mtime_ns: int | None = None,
    ) -> None:
        """Write a file, have it take its name, and make both durable. Raises FileExistsError, StoreError."""
        path, new = self._path(key), self.root / TEMPORARY
        try:
            new.mkdir(parents=True, exist_ok=True)
            self._make_folder(path)
            opened, name = tempfile.mkstemp(dir=new)
            try:
                with os.fdopen(opened, "wb") as writer:
                    writer.write(data)
                    writer.flush()
                    os.fsync(writer.fileno())
                if mtime_ns is not None:
                    os.utime(name, ns=(mtime_ns, mtime_ns))
                Path(name).chmod(0o644 & ~_umask() if mode is None else mode)
                place(Path(name), path)
            finally:
                Path(name).unlink(missing_ok=True)
            _sync(path.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise self._failed(error, path, "written") from error

    def _make_folder(self, path: Path) -> None:
        """Make the folder of a file. Raises OSError; Missing: a file stands in its place."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise Missing(f"{printable(path)} cannot be written: a file stands where its folder is to be") from error

    def _failed(self, error: OSError, path: Path, verb: str) -> StoreError | Missing:
        """Return what is said of a failure: the matter of one file where none can have its name."""
        kind = Missing if error.errno in _NO_NAME else StoreError
        return kind(f"{printable(path)} cannot be {verb}: {system_words(error)[1]}")


class RemoteStore:
    """A place that fsspec knows: s3://bucket/folder, or that of another of its file systems."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet. Raises MissingPackage, StoreError: there is no such file system."""
        require("fsspec", "s3fs")
        from fsspec.core import url_to_fs

        self.url = url
        try:
            more = (
                {"max_concurrency": 1} if url.startswith("s3") else {}
            )  # parts of a file side by side cost a HEAD more
            self._files, self._root = url_to_fs(url, use_listings_cache=False, **more)
        except (ImportError, ValueError) as error:
            raise StoreError(f"{printable(url)} cannot be opened: {error}; {_PLACES}") from error
        self._root = self._root.rstrip("/")

    @property
    def files(self) -> AbstractFileSystem:
        """Return fsspec's file system."""
        return self._files

    @property
    def is_s3(self) -> bool:
        """Return whether its listings come by the page."""
        from s3fs import S3FileSystem

        return isinstance(self._files, S3FileSystem)

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        self._tried("written", key, lambda path: self._files.pipe_file(path, data))

    def put_new(self, key: str, data: bytes, mode: int | None = None, mtime_ns: int | None = None) -> bool:
        """Write an object, which has neither permissions nor a time of its own, on the condition that there is none."""
        try:
            self._tried("written", key, lambda path: self._files.pipe_file(path, data, mode="create"))
        except FileExistsError:
            return False
        return True

    def read(self, key: str) -> bytes:
        """Return the bytes of an object."""
        return bytes(self._tried("read", key, self._files.cat_file))

    def head(self, key: str, size: int) -> bytes:
        """Return the first bytes of an object. Raises Missing."""
        with _of_one_photo():
            return bytes(self._tried("read", key, lambda path: self._files.cat_file(path, start=0, end=size)))

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        """Return the bytes of several objects, asked for at once."""
        if not keys:
            return []
        paths = [f"{self._root}/{key}" for key in keys]
        read = self._tried("read", keys[0], lambda _path: self._files.cat(paths, on_error="raise"))
        return [bytes(read[path]) for path in paths] if isinstance(read, dict) else [bytes(read)]

    def fetch(self, key: str, folder: Path) -> Fetched:
        """Copy an object into a private file."""
        opened, name = tempfile.mkstemp(dir=folder, suffix=".spool")  # 0600
        os.close(opened)
        with _of_one_photo():
            self._tried("read", key, lambda path: self._files.get_file(path, name))
        size, digest = Path(name).stat().st_size, hashlib.sha256()
        if size > SIZE_LIMIT:
            raise Missing(f"{printable(key)} has {size / 1e6:.0f} MB, the limit is {SIZE_LIMIT / 1e6:g} MB")
        with Path(name).open("rb") as reader:
            while chunk := reader.read(1 << 20):
                digest.update(chunk)
        return Fetched(Path(name), digest.hexdigest(), size)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys of objects."""
        for key, _, _ in self.listing(prefix):
            yield key

    def listing(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Yield key, size in bytes and ETag or time of each object, a page or a folder at a time."""
        yield from self._pages(prefix) if self.is_s3 else self._walked(prefix)

    def remove(self, key: str) -> None:
        """Remove an object."""
        with suppress(Missing):
            self._tried("removed", key, self._files.rm_file)

    def _pages(self, prefix: str) -> Iterator[tuple[str, int, str]]:
        bucket, _, root = self._root.partition("/")
        top = f"{root}/" if root else ""
        asked: dict[str, Any] = {"Bucket": bucket, "Prefix": top + prefix}
        while True:
            try:
                page = self._tried("listed", prefix, lambda _path: self._files.call_s3("list_objects_v2", **asked))
            except Missing as error:  # a prefix without objects would be an empty page
                words = f"{printable(self.url)}: there is no bucket {printable(bucket)}"
                raise StoreError(f"{words}: create it, or correct the address") from error
            for each in page.get("Contents", ()):
                if not each["Key"].endswith("/"):  # what consoles make for an empty folder
                    yield each["Key"][len(top) :], each["Size"], each["ETag"].strip('"')
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _walked(self, prefix: str) -> Iterator[tuple[str, int, str]]:
        folder = prefix.rpartition("/")[0]
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            try:
                entries = self._tried("listed", folder, lambda path: self._files.ls(path.rstrip("/"), detail=True))
            except Missing:
                continue
            for entry in sorted(entries, key=lambda each: str(each["name"])):
                key = str(entry["name"])[len(self._root) :].strip("/")
                if entry["type"] == "directory":
                    waiting += [key] if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/") else []
                elif key.startswith(prefix):
                    stamp = next((entry[name] for name in ("ETag", "etag", "mtime", "created") if entry.get(name)), "")
                    yield key, int(entry.get("size") or 0), str(stamp)

    def _tried(self, verb: str, key: str, call: Callable[[str], Answer]) -> Answer:
        """Return what a call answers; one that fails is made again a few times.

        Raises Missing, FileExistsError, StoreError.
        """
        path = f"{self._root}/{key}" if key else self._root
        for wait in (*_WAITS, None):
            try:
                return call(path)
            except FileNotFoundError as error:
                raise Missing(f"{self.url}/{printable(key)} is not there") from error
            except FileExistsError:
                raise
            except Exception as error:  # whatever the libraries of a store raise
                if wait is None or isinstance(error, PermissionError | NotImplementedError | TypeError):
                    words = f"{self.url}/{printable(key)} cannot be {verb}: {_words(error)}"
                    raise StoreError(f"{words}; check the address, the network and the credentials") from error
                time.sleep(wait)
        raise AssertionError  # the last wait is None


@contextmanager
def _of_one_photo() -> Iterator[None]:
    """Let what may not be read be the matter of the photo. Raises Missing: it is archived, Refused."""
    try:
        yield
    except StoreError as error:
        why = error.__cause__
        if not isinstance(why, PermissionError):
            raise
        answer = getattr(why.__cause__, "response", {})
        is_archived = answer.get("Error", {}).get("Code") == "InvalidObjectState"  # S3, of Glacier
        raise (Missing if is_archived else Refused)(str(error)) from error


def _words(error: Exception) -> str:
    return printable(str(error)) or type(error).__name__


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_folder(opened)
    finally:
        os.close(opened)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it: a tight one, for that instant."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
