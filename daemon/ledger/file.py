"""The file of the ledger: SQLite, durable, private, and never one that is not ours."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.ledger.schema import APPLICATION_ID, MIGRATIONS
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError

BUSY_SECONDS: Final = 5.0


class LedgerError(UncnnError):
    """The ledger cannot be read or written."""


class Database:
    """One connection to the ledger's file. Times in it are UTC."""

    def __init__(self, file: Path, read_only: bool = False) -> None:
        """Open the file; a writer makes it where it is missing, and brings an older schema up to date.

        Raises LedgerError: it is damaged, another application's, or of a newer version. It is left as it is then.
        """
        self.file = file
        with self._said():
            if not read_only:
                _make_private(file)
            address = f"{file.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
            self._connection = sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
            try:
                self._prepare(read_only)
            except BaseException:
                self._connection.close()
                raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one BEGIN IMMEDIATE transaction: durable at the end, undone by any exception.

        Raises LedgerError.
        """
        with self._said():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Show the ledger of one instant to every query in the block. Raises LedgerError."""
        with self._said():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query. Raises LedgerError."""
        with self._said():
            return self._connection.execute(query, values).fetchall()

    def check(self) -> None:
        """Look through the whole file. Raises LedgerError where it is damaged."""
        with self._said():
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found.splitlines()[-1])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _prepare(self, read_only: bool) -> None:
        execute = self._connection.execute
        self._connection.row_factory = sqlite3.Row
        for pragma in ("busy_timeout = 5000", "foreign_keys = ON", "trusted_schema = OFF", "synchronous = FULL"):
            execute(f"PRAGMA {pragma}")
        self.version = self._checked_version()
        if read_only:
            return
        if self._write_ahead() != "wal":
            raise self._error("needs a local disk: set UNCNN_STATE to a folder on one")
        if self.version < len(MIGRATIONS):
            self._migrate()

    def _write_ahead(self) -> str:
        """Switch to the write-ahead log, once for all time; SQLite does not wait by itself for another that does so."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return str(self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _checked_version(self) -> int:
        """Return the schema's version, 0 for a new file. Raises LedgerError where it is not one of ours."""
        application, version, tables = (
            self._connection.execute(query).fetchone()[0]
            for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if application != APPLICATION_ID and (application or version or tables):
            raise self._error(f"belongs to another application (id {application:#x}): move it away")
        if version > len(MIGRATIONS):
            known = f"version {version}, this uncnn knows up to {len(MIGRATIONS)}"
            raise self._error(f"was written by a newer uncnn ({known}): update uncnn")
        return int(version)

    def _migrate(self) -> None:
        """Bring the schema up to date; a table that others refer to may be made anew on the way."""
        self._connection.execute("PRAGMA foreign_keys = OFF")  # says nothing inside a transaction
        with self.transaction() as connection:
            for step in MIGRATIONS[self._checked_version() :]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise sqlite3.DatabaseError("a photo of it belongs to no folder")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self.version = len(MIGRATIONS)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Say SQLite's errors in plain words."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._error(_plain(error)) from error

    def _error(self, words: str) -> LedgerError:
        return LedgerError(f"the ledger {printable(self.file)} {words}")


def _plain(error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return f"was locked by another process for {BUSY_SECONDS:g} s: end that process and try again"
    if code == sqlite3.SQLITE_FULL:
        return "cannot be written, the disk is full: free some space on it"
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return f"cannot be opened ({error}): give this user access to it and its folder"
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or not code:
        return f"is damaged ({error}) and was left as it is: move it away, and a new one is made"
    return f"cannot be used ({error})"


def _make_private(file: Path) -> None:
    """Create the file 0600 where it is missing, and close it to others where it is not; SQLite's own follow it.

    A file that is there is not opened: closing it again would end the locks of this process's other connections.
    """
    try:
        if file.is_symlink():
            raise LedgerError(f"the ledger {printable(file)} is a symbolic link: put the file itself there")
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
    except OSError as error:
        raise LedgerError(f"the ledger {printable(file)} cannot be opened: {system_words(error)[1]}") from error
