"""The tables of the ledger, version by version."""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x756E636E  # "uncn"

_SCHEMA_1: Final = (
    """CREATE TABLE folders (
        id INTEGER PRIMARY KEY,
        watch BLOB NOT NULL UNIQUE,
        publish BLOB NOT NULL,
        watched INTEGER NOT NULL, -- whether the last run's configuration names it
        scanned TEXT, -- when; with what was there and what of it was new
        found INTEGER NOT NULL DEFAULT 0,
        new INTEGER NOT NULL DEFAULT 0,
        blocked TEXT NOT NULL DEFAULT '' -- why nothing can be done for it at present
    )""",
    """CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        folder INTEGER NOT NULL REFERENCES folders (id),
        relative BLOB NOT NULL, -- below the watched folder, in the bytes of the file system
        sha256 TEXT NOT NULL,
        policy TEXT NOT NULL, -- its digest
        source TEXT NOT NULL, -- what the file was when it was read: device, inode, size and times
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '',
        due TEXT, -- of the next attempt
        released_sha256 TEXT, -- of the bytes that the verifier passed
        published BLOB, -- below the publish folder
        changed TEXT NOT NULL,
        UNIQUE (folder, relative, sha256, policy)
    )""",
    "CREATE INDEX jobs_by_state ON jobs (state, folder, changed)",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        beat TEXT NOT NULL,
        ended TEXT,
        exit_status INTEGER,
        device TEXT,
        surrogates TEXT NOT NULL DEFAULT '[]',
        judges TEXT NOT NULL DEFAULT '[]'
    )""",
)

_SCHEMA_2: Final = (
    "ALTER TABLE jobs ADD COLUMN anyway INTEGER NOT NULL DEFAULT 0",  # a person lets it go though it was held
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_SCHEMA_1, _SCHEMA_2)
"""Number n leads from `user_version` n to n + 1; all that stand here are kept, new ones are added at the end."""
