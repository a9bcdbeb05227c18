"""The bytes of a photo as messages carry them: in memory, or as a private file that nobody else writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Base64Bytes

from uncnn.plugins.api import UncnnError


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are handed over: a large photo stays in its file, which both sides can read."""

    file: Path | None = None
    data: Base64Bytes | None = field(default=None, repr=False)  # where there is no file

    def read(self) -> bytes:
        """Return the bytes. Raises OSError: the file cannot be read."""
        if self.file is None:
            return self.data or b""
        return self.file.read_bytes()

    def beside(self, ending: str, data: bytes) -> Content:
        """Return `data` held as this is: in memory, or in a file beside this one that has that ending.

        Raises OSError: it cannot be written.
        """
        if self.file is None:
            return Content(data=data)
        file = self.file.with_suffix(f".{ending}")
        file.write_bytes(data)
        return Content(file)

    def check_beside(self, ending: str, made: Content) -> Content:
        """Return `made`, if it is what `beside` makes: who decodes strangers' files may be no longer itself.

        Raises UncnnError: it names another file, which might be any of the person's.
        """
        expected = None if self.file is None else self.file.with_suffix(f".{ending}")
        if made.file != expected:
            raise UncnnError(f"a process answered with the file {made.file} and not with {expected}: not read")
        return made
