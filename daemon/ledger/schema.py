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
    "ALTER TABLE folders ADD COLUMN reprocess TEXT NOT NULL DEFAULT ''",  # the policy that all is to be done again for
    "ALTER TABLE folders ADD COLUMN mode TEXT NOT NULL DEFAULT ''",  # how it is watched: events, or scans and why
    "ALTER TABLE folders ADD COLUMN event TEXT",  # when the last one came
    "ALTER TABLE folders ADD COLUMN missed INTEGER NOT NULL DEFAULT 0",  # photos that no event told of
    "ALTER TABLE folders ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0",  # photos that are to be done
    "ALTER TABLE folders ADD COLUMN oldest TEXT",  # since when the oldest of them waits
    "ALTER TABLE folders ADD COLUMN refused TEXT NOT NULL DEFAULT ''",  # what there cannot be taken, in words
    "ALTER TABLE runs ADD COLUMN providers TEXT NOT NULL DEFAULT '[]'",  # of ONNX Runtime, that the verifier uses
    "ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'once'",  # or service
    "ALTER TABLE runs ADD COLUMN problem TEXT NOT NULL DEFAULT ''",  # what keeps the service as a whole from working
    "ALTER TABLE runs ADD COLUMN doing TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE runs ADD COLUMN published INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runs ADD COLUMN faces INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runs ADD COLUMN busy_seconds REAL NOT NULL DEFAULT 0",
)

_SCHEMA_3: Final = (
    "UPDATE folders SET reprocess = ''",  # now: when a person asked to do again what was done under other policies
    "ALTER TABLE jobs ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0",  # a person does not want it published
)

_SCHEMA_4: Final = (
    "ALTER TABLE jobs ADD COLUMN fingerprint TEXT",  # of the decoded photo, NULL of one that was not decoded
    "ALTER TABLE jobs ADD COLUMN made_with TEXT",  # a digest: of all that the verdict depends on besides
    "ALTER TABLE jobs ADD COLUMN held TEXT",  # why it was not released, found on itself, whatever a person said then
    "ALTER TABLE jobs ADD COLUMN same_as INTEGER REFERENCES jobs (id)",  # what became of that one holds for it too
    "ALTER TABLE jobs ADD COLUMN asked INTEGER NOT NULL DEFAULT 0",  # a person wants it done, whatever was done before
    "CREATE INDEX jobs_by_released ON jobs (released_sha256)",
    "CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint)",
)

_SCHEMA_5: Final = (
    "ALTER TABLE jobs ADD COLUMN released_fingerprint TEXT",  # of the picture in the bytes that the verifier passed
    "CREATE INDEX jobs_by_released_fingerprint ON jobs (released_fingerprint)",
)

_SCHEMA_6: Final = (
    """CREATE TABLE rosters (
        id INTEGER PRIMARY KEY,
        content TEXT NOT NULL UNIQUE -- JSON: which models were asked, their hashes, the detector's, uncnn's version
    )""",
    """CREATE TABLE verdicts (
        job INTEGER PRIMARY KEY REFERENCES jobs (id),
        roster INTEGER NOT NULL REFERENCES rosters (id),
        content BLOB NOT NULL -- JSON, compressed: figures alone; in a table of its own, since every scan reads the jobs
    )""",
    "ALTER TABLE jobs ADD COLUMN faces INTEGER",  # in its verdict, NULL where none was kept
    "ALTER TABLE jobs ADD COLUMN uncertain INTEGER",  # so many of them may be no faces, or were not seen by all
    "ALTER TABLE jobs ADD COLUMN provisional INTEGER",  # whether judges of one family alone were asked
    "ALTER TABLE jobs ADD COLUMN placed TEXT",  # what the file was when it was published: inode, size, time of change
    "CREATE INDEX jobs_by_verdict ON jobs (folder, state, faces, uncertain, provisional)",
    "CREATE INDEX jobs_uncertain ON jobs (changed) WHERE uncertain > 0",
    "UPDATE jobs SET faces = 0 WHERE state = 'published' AND reason LIKE 'no face found:%'",
    "ALTER TABLE runs ADD COLUMN protection TEXT NOT NULL DEFAULT ''",  # of the decoders: what of their sandbox holds
)

_FOLDERS_6: Final = (
    "id, watch, publish, watched, scanned, found, new, blocked, reprocess, mode, event, missed, waiting, oldest,"
    " refused"
)

_SCHEMA_7: Final = (
    # The folders anew, since a person may let the photos of one folder be cloaked into several.
    """CREATE TABLE new_folders (
        id INTEGER PRIMARY KEY,
        watch BLOB NOT NULL,
        publish BLOB NOT NULL,
        watched INTEGER NOT NULL,
        scanned TEXT,
        found INTEGER NOT NULL DEFAULT 0,
        new INTEGER NOT NULL DEFAULT 0,
        blocked TEXT NOT NULL DEFAULT '',
        reprocess TEXT NOT NULL DEFAULT '',
        mode TEXT NOT NULL DEFAULT '',
        event TEXT,
        missed INTEGER NOT NULL DEFAULT 0,
        waiting INTEGER NOT NULL DEFAULT 0,
        oldest TEXT,
        refused TEXT NOT NULL DEFAULT '',
        command INTEGER NOT NULL DEFAULT 0 -- 1: a person gave photos of it to `cloak`; it is not watched as this row
    )""",
    f"INSERT INTO new_folders ({_FOLDERS_6}) SELECT {_FOLDERS_6} FROM folders",
    "DROP TABLE folders",
    "ALTER TABLE new_folders RENAME TO folders",
    "CREATE UNIQUE INDEX folders_by_watch ON folders (watch) WHERE NOT command",
    "CREATE UNIQUE INDEX folders_of_commands ON folders (watch, publish) WHERE command",
    "ALTER TABLE jobs ADD COLUMN kept TEXT",  # the name of the judged copy that is kept while the photo is held
    "ALTER TABLE jobs ADD COLUMN mode INTEGER",  # the permissions that this copy is released with, NULL: the usual ones
    "ALTER TABLE jobs ADD COLUMN mtime INTEGER",  # and when it was changed, ns; NULL: then
)

_SCHEMA_8: Final = (
    "ALTER TABLE folders ADD COLUMN way TEXT NOT NULL DEFAULT ''",  # in which a file comes to its name there
    "ALTER TABLE folders ADD COLUMN ignored TEXT NOT NULL DEFAULT '{}'",  # JSON: what is not taken, by reason
)

_SCHEMA_9: Final = (
    "ALTER TABLE jobs ADD COLUMN decisions TEXT",  # JSON: the faces that a person wants left as they are, NULL: none
    "ALTER TABLE jobs ADD COLUMN strength TEXT",  # that a person wants tried first, NULL: that of the policy
)

_SCHEMA_10: Final = (
    "ALTER TABLE runs ADD COLUMN canaries TEXT NOT NULL DEFAULT '[]'",  # JSON: what the models said of known pictures
)

_SCHEMA_11: Final = (
    "ALTER TABLE runs ADD COLUMN servers TEXT NOT NULL DEFAULT '[]'",  # JSON: how it stands with them
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    _SCHEMA_1,
    _SCHEMA_2,
    _SCHEMA_3,
    _SCHEMA_4,
    _SCHEMA_5,
    _SCHEMA_6,
    _SCHEMA_7,
    _SCHEMA_8,
    _SCHEMA_9,
    _SCHEMA_10,
    _SCHEMA_11,
)
"""Number n leads from `user_version` n to n + 1; all that stand here are kept, new ones are added at the end."""
