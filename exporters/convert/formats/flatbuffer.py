"""Reads a FlatBuffer that may be hostile: every offset is bounded, and so is all that is read together.

The layout is that of https://flatbuffers.dev/internals/: a table begins with the distance back to its vtable, whose
entry for a slot is where in the table that field lies; tables, strings and vectors lie behind unsigned distances ahead.
The runtime that the authors publish for Python checks none of these (their verifier is for C++ alone), so it is not
used: shared strings and tables let a small file describe endless ones, and a circle never ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uncnn.exporters.convert.formats import FormatError


class Buffer:
    """The bytes of a FlatBuffer, read from `path`, and how many of them may yet be read."""

    def __init__(self, data: bytes, path: Path, remedy: str) -> None:
        self._data, self._path, self._remedy = data, path, remedy
        self._left = 2 * len(data) + 65536  # true files read each byte once, and share a few names

    def wrong(self, what: str) -> FormatError:
        """Return the error that names the file, `what` is wrong with it, and the remedy."""
        return FormatError(f"{self._path}: {what}; {self._remedy}")

    def take(self, position: int, count: int) -> bytes:
        """Return `count` bytes from `position` on.

        Raises:
            FormatError: they are not there, or too much was read already.
        """
        if not 0 <= position <= position + count <= len(self._data):
            raise self.wrong(f"byte {position}: expected {count} bytes, found the end after {len(self._data)}")
        self._left -= count
        if self._left < 0:
            raise self.wrong(f"byte {position}: it refers to its own parts more often than a true file does")
        return self._data[position : position + count]

    def number(self, form: str, position: int) -> int | float:
        """Return the number of the little-endian struct format `form` at `position`."""
        (value,) = struct.unpack(f"<{form}", self.take(position, struct.calcsize(f"<{form}")))
        return value  # type: ignore[no-any-return]

    def integer(self, form: str, position: int) -> int:
        """Return the integer of the little-endian struct format `form` at `position`."""
        return int(self.number(form, position))

    def root(self) -> Table:
        """Return the table that the buffer begins with."""
        return Table(self, self.integer("I", 0))


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a FlatBuffer; its fields are known by their slots, in the order of the schema."""

    buffer: Buffer
    position: int

    def integer(self, slot: int, form: str = "i") -> int:
        """Return an integer, or a struct of one; 0 where it is left out."""
        position = self._field(slot)
        return 0 if position is None else self.buffer.integer(form, position)

    def number(self, slot: int) -> float:
        """Return a float32, or a struct of one; 0 where it is left out."""
        position = self._field(slot)
        return 0.0 if position is None else float(self.buffer.number("f", position))

    def text(self, slot: int) -> str:
        """Return a string or a vector of its bytes, empty where it is left out."""
        position = self._ahead(self._field(slot))
        return "" if position is None else self._string(position)

    def table(self, slot: int) -> Table | None:
        """Return a table, or None where it is left out."""
        position = self._ahead(self._field(slot))
        return None if position is None else Table(self.buffer, position)

    def tables(self, slot: int) -> list[Table]:
        """Return a vector of tables."""
        return [Table(self.buffer, position) for position in self._elements(slot)]

    def texts(self, slot: int) -> list[str]:
        """Return a vector of strings."""
        return [self._string(position) for position in self._elements(slot)]

    def integers(self, slot: int) -> tuple[int, ...]:
        """Return a vector of int64."""
        data = self.data(slot, 8)
        return struct.unpack(f"<{len(data) // 8}q", data)

    def data(self, slot: int, size: int) -> bytes:
        """Return the bytes of a vector whose elements are `size` bytes each."""
        position = self._ahead(self._field(slot))
        if position is None:
            return b""
        return self.buffer.take(position + 4, size * self.buffer.integer("I", position))

    def _field(self, slot: int) -> int | None:
        """Return where a field lies, None where it is left out."""
        vtable = self.position - self.buffer.integer("i", self.position)
        entry = 4 + 2 * slot
        if entry + 2 > self.buffer.integer("H", vtable):
            return None
        offset = self.buffer.integer("H", vtable + entry)
        return self.position + offset if offset else None

    def _ahead(self, position: int | None) -> int | None:
        return None if position is None else position + self.buffer.integer("I", position)

    def _elements(self, slot: int) -> Iterator[int]:
        """Give where the elements of a vector of tables or strings lie."""
        start = self._ahead(self._field(slot))
        if start is None:
            return
        for number in range(self.buffer.integer("I", start)):
            position = start + 4 + 4 * number
            yield position + self.buffer.integer("I", position)

    def _string(self, position: int) -> str:
        data = self.buffer.take(position + 4, self.buffer.integer("I", position))
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self.buffer.wrong(f"byte {position}: expected text, found {data[:20]!r}") from error
