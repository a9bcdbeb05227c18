"""How far an audit is, and what it found: one file in the state folder, so that a kill at any instant costs a second.

The ledger has one writer, the service; an audit may run beside it. A line is a JSON value: first what was asked, then
what was found and up to which photo all is done, at last that it ended. What was found after the last such photo is
found again.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from uncnn.daemon.audit.findings import Finding
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError

EVERY_SECONDS: Final = 1.0
"""Between two notes of how far it is."""

STALE_AFTER: Final = timedelta(days=14)
"""An audit that was broken off longer ago is begun anew."""


class AuditError(UncnnError):
    """An audit cannot be run, or there is none to show."""


@dataclass(slots=True)
class Pass:
    """One audit, from its beginning to its end, over several calls where it was broken off."""

    asked: dict[str, Any]  # which photos, and what about them
    began: datetime
    last: int = 0  # the number of the last photo that is done
    photos: int = 0  # that are done
    notes: dict[str, int] = field(default_factory=dict)  # what is counted and is no finding
    findings: list[Finding] = field(default_factory=list)
    ended: datetime | None = None


class Progress:
    """The file of one audit, locked. Use it in a `with` block."""

    def __init__(self, state: Path, asked: dict[str, Any], anew: bool) -> None:
        """Go on with the audit that was broken off, where the same was asked; else begin one.

        Raises AuditError: another audit is at work, or the file cannot be used.
        """
        self._file = progress_file(state)
        try:
            self._opened = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AuditError(f"{printable(self._file)} cannot be opened: {system_words(error)[1]}") from error
        try:
            fcntl.flock(self._opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._opened)
            raise AuditError("another audit is running: wait for it to end") from error
        before, length = (None, 0) if anew else _read(self._file)
        if before is None or before.ended is not None or before.asked != asked or _stale(before):
            before, length = None, 0
        self.audit = before or Pass(asked, datetime.now(UTC))
        os.ftruncate(self._opened, length)  # what comes after the last photo that is done is found again
        os.lseek(self._opened, 0, os.SEEK_END)
        if before is None:
            self._write({"asked": asked, "began": self.audit.began.isoformat()})
        self._noted = time.monotonic()

    def done(self, number: int, findings: list[Finding]) -> None:
        """Note that a photo is done, and what was found about it."""
        self.audit.last = number
        self.audit.photos += 1
        for finding in findings:
            self.audit.findings.append(finding)
            self._write({"finding": finding.as_json()})
        if time.monotonic() - self._noted >= EVERY_SECONDS:
            self.note()

    def count(self, name: str) -> None:
        """Count something that is no finding."""
        self.audit.notes[name] = self.audit.notes.get(name, 0) + 1

    def note(self) -> None:
        """Note how far it is."""
        self._write({"to": self.audit.last, "photos": self.audit.photos, "notes": self.audit.notes})
        self._noted = time.monotonic()

    def end(self) -> None:
        """Note that all is done."""
        self.audit.ended = datetime.now(UTC)
        self.note()
        self._write({"ended": self.audit.ended.isoformat()})

    def __enter__(self) -> Progress:
        """Return it, open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Note how far it is, and let go of the file."""
        try:
            if self.audit.ended is None:
                self.note()
        finally:
            os.close(self._opened)

    def _write(self, line: dict[str, Any]) -> None:
        try:
            os.write(self._opened, json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise AuditError(f"{printable(self._file)} cannot be written: {system_words(error)[1]}") from error


def progress_file(state: Path) -> Path:
    """Return where the progress of an audit lies."""
    return state / "audit.progress"


def read_pass(state: Path) -> Pass | None:
    """Return the audit that was run last, as far as it is; None: there is none that can be read."""
    return _read(progress_file(state))[0]


def _read(file: Path) -> tuple[Pass | None, int]:
    """Return an audit as far as it is, and how many bytes of the file say so: what a kill cut short is left out."""
    found, length, position = None, 0, 0
    with suppress(OSError, ValueError, KeyError, TypeError), file.open("rb") as lines:
        for text in lines:
            line = json.loads(text)
            position += len(text)
            if found is None:
                found = Pass(line["asked"], datetime.fromisoformat(line["began"]))
            else:
                _take(found, line)
            if "finding" not in line and text.endswith(b"\n"):
                length = position
    if found is not None:
        found.findings = [finding for finding in found.findings if finding.number <= found.last]
    return found, length


def _take(found: Pass, line: dict[str, Any]) -> None:
    if "finding" in line:
        found.findings.append(Finding(**line["finding"]))
    elif "to" in line:
        found.last, found.photos, found.notes = line["to"], line["photos"], line["notes"]
    else:
        found.ended = datetime.fromisoformat(line["ended"])


def _stale(before: Pass) -> bool:
    return datetime.now(UTC) - before.began > STALE_AFTER
