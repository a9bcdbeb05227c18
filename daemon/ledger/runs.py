"""The runs of the daemon: which process it is, when it last showed a sign of life, and what it works with."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final, Literal

from uncnn.daemon.ledger.file import Database, LedgerError
from uncnn.daemon.ledger.rows import utc_now, utc_text
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.sandbox.protection import Protection
from uncnn.daemon.text import printable
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

BEAT_SECONDS: Final = 10.0
KEPT: Final = 1000
"""So many runs are remembered: one may be started every minute by a timer."""


class Run:
    """One run's row. It beats from a thread of its own, since a photo may take minutes."""

    def __init__(self, file: Path, kind: Literal["once", "service"] = "once") -> None:
        """Note that a run starts. Raises LedgerError."""
        self.exit_status = 1  # until it says better
        self._file = file
        self._ended = threading.Event()
        now = utc_text(utc_now())
        database = Database(file)
        try:
            with database.transaction() as connection:
                query = "INSERT INTO runs (pid, started, beat, kind) VALUES (?, ?, ?, ?)"
                self.id = connection.execute(query, (os.getpid(), now, now, kind)).lastrowid or 0
                connection.execute("DELETE FROM runs WHERE id <= ?", (self.id - KEPT,))
        finally:
            database.close()

    def works_with(
        self,
        device: str,
        surrogates: Sequence[str],
        judges: Sequence[str],
        providers: Sequence[str] = (),
        protection: Protection | None = None,
    ) -> None:
        """Note the device and the verifier's providers that are really used, and the models by their roles.

        `protection` is what of the decoders' sandbox holds. Raises LedgerError.
        """
        values = (device, *(json.dumps(list(names)) for names in (surrogates, judges, providers)))
        held = json.dumps(asdict(protection)) if protection is not None else ""
        columns = "device = ?, surrogates = ?, judges = ?, providers = ?, protection = ?"
        self._write(f"UPDATE runs SET {columns} WHERE id = ?", *values, held)

    def beat(self) -> None:
        """Note a sign of life. Raises LedgerError."""
        self._write("UPDATE runs SET beat = ? WHERE id = ?", utc_text(utc_now()))

    def report(self, problem: str, doing: str, published: int, faces: int, busy_seconds: float) -> None:
        """Note a sign of life, with what keeps all photos from being done, what is done now, and what was so far.

        Raises LedgerError.
        """
        values = (utc_text(utc_now()), printable(problem), printable(doing), published, faces, busy_seconds)
        columns = "beat = ?, problem = ?, doing = ?, published = ?, faces = ?, busy_seconds = ?"
        self._write(f"UPDATE runs SET {columns} WHERE id = ?", *values)

    def canaries_said(self, answers: Sequence[CanaryAnswers]) -> None:
        """Note what the models said of known pictures when they were last asked. Raises LedgerError."""
        self._write("UPDATE runs SET canaries = ? WHERE id = ?", json.dumps([asdict(each) for each in answers]))

    def servers_seen(self, servers: Sequence[ServerState]) -> None:
        """Note how it stands with the servers that change faces. Raises LedgerError."""
        self._write("UPDATE runs SET servers = ? WHERE id = ?", json.dumps([asdict(each) for each in servers]))

    def end(self) -> None:
        """Note that the run ended. Raises LedgerError."""
        now = utc_text(utc_now())
        self._write("UPDATE runs SET beat = ?, ended = ?, exit_status = ? WHERE id = ?", now, now, self.exit_status)

    @contextmanager
    def beating(self) -> Iterator[Run]:
        """Beat every few seconds inside the block; at its end the run has ended."""
        thread = threading.Thread(target=self._beat_on, name="uncnn-heartbeat", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()
            self.end()

    def _beat_on(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(LedgerError):  # the work itself meets the same fault, and says it
                self.beat()

    def _write(self, query: str, *values: str | float) -> None:
        database = Database(self._file)
        try:
            with database.transaction() as connection:
                connection.execute(query, (*values, self.id))
        finally:
            database.close()
