"""What became of each photo of an archive: a JSON document each, written last. That it is there means: done.

`done/<sha256 of the photo>/<digest of policy, models and version>.<row>.json`, and of a photo that failed
`errors/<digest>.<row>.json`. A listing tells which rows are done, and which photos of the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count, islice
from pathlib import PurePosixPath
from typing import Any, Final, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from uncnn.daemon.archive.manifest import Row
from uncnn.daemon.archive.shards import Shard
from uncnn.daemon.archive.stores import Missing, Store, StoreError
from uncnn.daemon.files.names import numbered
from uncnn.daemon.text import printable

COPIES: Final = "copies/"
DONE: Final = "done/"
ERRORS: Final = "errors/"
FORMAT: Final = 1

_AT_ONCE: Final = 500  # records that are read side by side

Status: TypeAlias = Literal["published", "held", "skipped", "error"]
"""As `cloak` says it."""

STATUSES: Final[tuple[Status, ...]] = ("published", "held", "skipped", "error")


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one photo; figures and hashes, no picture."""

    photo: str  # its key in the source
    row: str
    status: Status
    reason: str
    digest: str  # of policy, models and version
    version: str  # of uncnn
    sha256: str = ""  # of the photo; "": it could not be fetched
    copy: str = ""  # the key of the copy; "": none was put
    copy_sha256: str = ""
    faces: int = 0
    uncertain: int = 0
    left_uncertain: int = 0
    notes: tuple[str, ...] = ()
    same_as: str = ""  # another photo of the same bytes, whose copy this one's is
    seconds: float = 0.0
    verdict: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def key(self) -> str:
        """Return where it lies."""
        if self.status == "error":
            return error_key(self.digest, self.row)
        return f"{DONE}{self.sha256}/{self.digest}.{self.row}.json"

    def packed(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    def result(self) -> dict[str, Any]:
        """Return all of it that another attempt would say too: not how long it took."""
        return {name: value for name, value in asdict(self).items() if name != "seconds"}


_RECORD: Final = TypeAdapter(Record)


def error_key(digest: str, row: str) -> str:
    """Return where the record of a photo that failed lies."""
    return f"{ERRORS}{digest}.{row}.json"


def done_key(sha256: str, digest: str, row: str) -> str:
    """Return where the record of any other photo lies."""
    return f"{DONE}{sha256}/{digest}.{row}.json"


def rows_done(store: Store, digest: str, shard: Shard) -> set[str]:
    """Return which rows of a share are done under these policy, models and version. Raises StoreError."""
    names = (key.rpartition("/")[2] for key in store.keys(DONE))
    rows = (_row_of(name) for name in names if name.startswith(f"{digest}."))
    return {row for row in rows if shard.holds(row)}


def rows_failed(store: Store, digest: str) -> set[str]:
    """Return which rows have a record of a failure. Raises StoreError."""
    return set(map(_row_of, store.keys(f"{ERRORS}{digest}.")))


def rows_of(store: Store, sha256: str, digest: str) -> list[str]:
    """Return which rows of a photo's bytes are done. Raises StoreError."""
    return [_row_of(key) for key in store.keys(f"{DONE}{sha256}/{digest}.")]


def read_record(data: bytes, key: str) -> Record:
    """Return a record. Raises StoreError: it is none."""
    try:
        return _RECORD.validate_json(data)
    except ValidationError as error:
        words = f"{printable(key)} is no record of this version: remove it, and its photo is done again"
        raise StoreError(words) from error


def records(store: Store, digest: str) -> Iterator[Record]:
    """Yield the record of every row that has one, those of failures last. Raises StoreError, Missing: one is gone."""
    failed = rows_failed(store, digest)
    keys = (key for key in store.keys(DONE) if key.rpartition("/")[2].startswith(f"{digest}."))
    while some := list(islice(keys, _AT_ONCE)):
        failed.difference_update(map(_row_of, some))
        yield from _read(store, some)
    yield from _read_failures(store, [error_key(digest, row) for row in sorted(failed)])


def _read(store: Store, keys: Sequence[str]) -> Iterator[Record]:
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        yield from (read_record(data, key) for data, key in zip(store.read_all(some), some, strict=True))


def _read_failures(store: Store, keys: Sequence[str]) -> Iterator[Record]:
    """Yield the records of failures but for those of photos that were done again meanwhile, which has removed them."""
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        try:
            yield from list(_read(store, some))
        except Missing:
            for key in some:
                with suppress(Missing):
                    yield read_record(store.read(key), key)


@dataclass(frozen=True, slots=True)
class Copy:
    """The verified bytes of a copy, and what a file of them is to be like."""

    data: bytes
    mode: int | None = None  # permission bits
    mtime_ns: int | None = None


def settle(store: Store, record: Record, copy: Copy | None) -> Record:
    """Put a photo's copy, then its record, and return the record that stands.

    No copy is written over: where another has the name, it takes a numbered one. Whoever puts the record first has done
    the photo. Two processes at the same photo come to the same bytes; where they do not, on machines that compute
    differently, the copy of the second one is removed. The record of a failure alone is written anew.

    Raises StoreError. Missing: no file can have the name of the copy.
    """
    is_new = False
    if copy is not None:
        name, is_new = _put_copy(store, record.copy, copy)
        record = replace(record, copy=name)
    if store.put_new(record.key, record.packed()):
        return record
    if record.status == "error":
        store.put(record.key, record.packed())
        return record
    stands = read_record(store.read(record.key), record.key)
    if is_new and stands.copy != record.copy:
        store.remove(record.copy)
    return stands


def _put_copy(store: Store, key: str, copy: Copy) -> tuple[str, bool]:
    """Put a copy under its name or, where other bytes have that, a numbered one; return it and whether it is new."""
    path = PurePosixPath(key)
    for number in count(1):
        name = path.with_name(numbered(path.name, number)).as_posix()
        if store.put_new(name, copy.data, copy.mode, copy.mtime_ns):
            return name, True
        with suppress(Missing):  # somebody removed it: the next name is free for certain
            if store.read(name) == copy.data:
                return name, False
    raise AssertionError  # there are names enough


def forget_error(store: Store, record: Record) -> None:
    """Remove the record of an earlier failure of a photo that is done by now. Raises StoreError."""
    store.remove(error_key(record.digest, record.row))


def error_record(row: Row, reason: str, digest: str, version: str, sha256: str = "") -> Record:
    """Return the record of a photo that failed."""
    return Record(row.photo, row.id, "error", reason, digest, version, sha256)


def digest_of(*parts: str) -> str:
    """Return the sha256 of several texts, of which none has a space: 32 hexadecimal digits."""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]


def _row_of(key: str) -> str:
    return key.removesuffix(".json").rpartition(".")[2]
