"""The photos of an archive as Parquet: files of a million rows, read and written a row group at a time."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from uncnn.daemon.archive.stores import Missing, Store, StoreError
from uncnn.daemon.text import printable

PHOTOS: Final = "photos"
"""The folder of these files in a plan."""

GROUP_ROWS: Final = 10_000
PART_ROWS: Final = 1_000_000

_SCHEMA: Final = pa.schema(
    [
        pa.field("photo", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("stamp", pa.string(), nullable=False),
        pa.field("copy", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Row:
    """A photo of an archive."""

    photo: str  # its key in the source
    size: int  # bytes
    stamp: str  # when it was changed, in ns, or the store's ETag: another one is another photo
    copy: str  # what its copy is to be called, below the folder of copies

    @property
    def id(self) -> str:
        """Return what the row is known by: 32 hexadecimal digits."""
        return hashlib.sha256(f"{self.photo}\0{self.size}\0{self.stamp}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the files."""

    key: str
    rows: int
    sha256: str


def write_rows(rows: Iterable[Row], store: Store) -> list[Part]:
    """Write a list of photos, and return its files. Raises StoreError, OSError: no room for one here."""
    parts: list[Part] = []
    with tempfile.TemporaryDirectory(prefix="uncnn-plan-") as folder:
        source, file = iter(rows), Path(folder) / "part.parquet"
        while (count := _write_part(source, file)) > 0:
            data = file.read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            key = f"{PHOTOS}/{len(parts):05}-{sha256[:12]}.parquet"  # whoever plans at the same time writes another
            store.put(key, data)
            parts.append(Part(key, count, sha256))
            if count < PART_ROWS:
                break
    return parts


def _write_part(rows: Iterator[Row], file: Path) -> int:
    """Write up to a million of the rows, and return how many there were."""
    count = 0
    with pq.ParquetWriter(file, _SCHEMA, compression="zstd") as writer:
        while count < PART_ROWS and (group := list(islice(rows, GROUP_ROWS))):
            columns = [[getattr(row, name) for row in group] for name in _SCHEMA.names]
            writer.write_table(pa.table(columns, schema=_SCHEMA))
            count += len(group)
    return count


def read_rows(parts: Iterable[Part], store: Store, folder: Path) -> Iterator[Row]:
    """Yield the photos of a list; each file lies in the private `folder` while it is read.

    Raises StoreError: one is missing, or not what was written.
    """
    for part in parts:
        try:
            taken = store.fetch(part.key, folder)
        except Missing as error:
            raise StoreError(f"{store.url}/{printable(part.key)} cannot be read: plan the archive again") from error
        try:
            if taken.sha256 != part.sha256:
                raise StoreError(f"{store.url}/{printable(part.key)} is not what was planned: plan the archive again")
            yield from _read_part(taken.path)
        finally:
            taken.path.unlink(missing_ok=True)


def _read_part(file: Path) -> Iterator[Row]:
    with pq.ParquetFile(file) as reader:
        for group in reader.iter_batches(batch_size=GROUP_ROWS):
            columns: list[list[Any]] = [group.column(name).to_pylist() for name in _SCHEMA.names]
            for values in zip(*columns, strict=True):
                yield Row(*values)
