"""The watched folders in the ledger: where they publish, what the last scan showed, why they are blocked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from uncnn.daemon.files.names import Reason
from uncnn.daemon.files.ways import Way
from uncnn.daemon.ledger.file import Database
from uncnn.daemon.ledger.rows import utc_now, utc_text
from uncnn.daemon.text import printable


class Folders:
    """The folders of an open ledger, each by its number. All raise LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def watch(self, folders: Sequence[tuple[Path, Path]]) -> list[int]:
        """Note the watched folders and where each publishes, and return their numbers; others are watched no more."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE folders SET watched = 0")
            for watch, publish in folders:
                connection.execute(
                    "INSERT INTO folders (watch, publish, watched) VALUES (?, ?, 1)"
                    " ON CONFLICT (watch) WHERE NOT command DO UPDATE SET publish = excluded.publish, watched = 1",
                    (os.fsencode(watch), os.fsencode(publish)),
                )
            query = "SELECT id FROM folders WHERE watch = ? AND NOT command"
            return [connection.execute(query, (os.fsencode(watch),)).fetchone()[0] for watch, _ in folders]

    def given(self, folder: Path, output: Path) -> int:
        """Note that a person lets photos of a folder be cloaked into `output`, both absolute; return its number."""
        key = (os.fsencode(folder), os.fsencode(output))
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO folders (watch, publish, watched, command) VALUES (?, ?, 0, 1)"
                " ON CONFLICT (watch, publish) WHERE command DO NOTHING",
                key,
            )
            query = "SELECT id FROM folders WHERE watch = ? AND publish = ? AND command"
            return int(connection.execute(query, key).fetchone()[0])

    def scanned(self, folder: int, found: int, new: int, ignored: Mapping[Reason, int] | None = None) -> None:
        """Note what a scan of a folder showed: photos that are there, new ones, what is not taken by its reason."""
        with self._database.transaction() as connection:
            query = "UPDATE folders SET scanned = ?, found = ?, new = ?, ignored = ?, blocked = '' WHERE id = ?"
            passed = json.dumps({reason.value: number for reason, number in sorted((ignored or {}).items())})
            connection.execute(query, (utc_text(utc_now()), found, new, passed, folder))

    def watching(self, folder: int, mode: str, event: datetime | None, missed: int) -> None:
        """Note how a folder is watched, when the last event came, and how many photos no event told of."""
        self._update(folder, mode=mode, event=utc_text(event) if event else None, missed=missed)

    def waiting(self, folder: int, photos: int, oldest: datetime | None) -> None:
        """Note how many photos wait to be done, and since when the oldest does."""
        self._update(folder, waiting=photos, oldest=utc_text(oldest) if oldest else None)

    def refused(self, folder: int, words: str) -> None:
        """Note what of a folder cannot be taken, in words; "" where nothing is."""
        self._update(folder, refused=printable(words))

    def publishes(self, folder: int, way: Way) -> None:
        """Note in which way files come to their names where a folder publishes."""
        self._update(folder, way=way.value)

    def reprocess(self) -> None:
        """Let what was done by now under another policy than a photo's own be done again, in the watched folders."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE folders SET reprocess = ? WHERE watched", (utc_text(utc_now()),))

    def _update(self, folder: int, **values: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        with self._database.transaction() as connection:
            connection.execute(f"UPDATE folders SET {columns} WHERE id = ?", (*values.values(), folder))

    def block(self, folder: int, reason: str) -> None:
        """Note why nothing can be done for a folder at present."""
        self._update(folder, blocked=printable(reason))

    def has_published(self, folder: int) -> bool:
        """Return whether a photo of a folder has ever been published."""
        query = "SELECT 1 FROM jobs WHERE state = 'published' AND folder = ? LIMIT 1"
        return bool(self._database.rows(query, (folder,)))

    def is_given(self, number: int) -> bool:
        """Return whether the photos of a folder were given to `cloak`: no service takes them up."""
        return bool(self._database.rows("SELECT command FROM folders WHERE id = ?", (number,))[0]["command"])

    def paths(self, number: int) -> tuple[Path, Path]:
        """Return where a folder is watched and where it publishes."""
        row = self._database.rows("SELECT watch, publish FROM folders WHERE id = ?", (number,))[0]
        return Path(os.fsdecode(row["watch"])), Path(os.fsdecode(row["publish"]))
