"""What the ledger says to somebody who only reads it: the last run, each watched folder, what needs a person."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from uncnn.daemon.files.names import Reason
from uncnn.daemon.files.ways import Way
from uncnn.daemon.ledger.doubts import Doubts
from uncnn.daemon.ledger.file import Database
from uncnn.daemon.ledger.schema import MIGRATIONS
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.ledger.states import NEEDS_PERSON, SETTLED, State
from uncnn.daemon.output import DEGRADED, NOT_RUNNING, OK
from uncnn.daemon.sandbox.protection import Protection
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

Life: TypeAlias = Literal["running", "silent", "ended", "died"]

SILENT_AFTER: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last process that worked."""

    pid: int
    started: datetime
    beat: datetime
    ended: datetime | None
    exit_status: int | None
    device: str | None  # None: it loaded no models
    surrogates: tuple[str, ...]
    judges: tuple[str, ...]
    providers: tuple[str, ...]  # of ONNX Runtime, that the verifier uses
    protection: Protection | None  # of its decoders; None: it started none
    canaries: tuple[CanaryAnswers, ...]  # of each of its processes, when their models were last asked
    servers: tuple[ServerState, ...]  # that change faces
    kind: str  # once, or service
    problem: str  # what keeps the service as a whole from working, "" where nothing does
    doing: str  # the photo at hand and its stage
    published: int  # photos, by the service since it started
    faces: int  # and their faces that were to be protected
    busy_seconds: float  # that photos took

    def life(self, now: datetime) -> Life:
        """Return what has become of it. `silent`: a process of its number is there, but gives no sign of life."""
        if self.ended is not None:
            return "ended"
        if not _is_alive(self.pid):
            return "died"
        return "silent" if now - self.beat > SILENT_AFTER else "running"

    def is_there(self, now: datetime) -> bool:
        """Return whether its process still is: only then does it do anything, or is connected to anybody."""
        return self.life(now) in ("running", "silent")


@dataclass(frozen=True, slots=True)
class FolderView:
    """A watched folder, and how many of its photos are in which state."""

    watch: Path
    publish: Path
    scanned: datetime | None
    found: int  # photos there at the last scan
    new: int  # and how many of them were not done yet
    blocked: str
    way: Way | None  # in which files come to their names where it publishes, None before the first
    mode: str  # how it is watched, "" by no service
    event: datetime | None  # the last one
    missed: int  # photos that no event told of
    waiting: int  # photos to be done
    oldest: datetime | None  # since when the oldest of them waits
    refused: str  # what there cannot be taken
    ignored: dict[Reason, int]  # how many files and folders are not looked at
    counts: dict[State, int]
    doubts: Doubts
    last_published: tuple[Path, datetime] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A photo of the ledger, as people are told of it."""

    number: int
    photo: Path
    state: State
    reason: str
    since: datetime
    attempts: int
    due: datetime | None  # of the next attempt
    published: Path | None
    same_as: int | None  # the number of the photo whose result this is, where it is not its own
    faces: int | None  # in its verdict; None: none was kept
    uncertain: int | None  # of them
    provisional: bool | None  # whether judges of one family alone were asked


@dataclass(frozen=True, slots=True)
class View:
    """All of it, at one instant."""

    run: LastRun | None
    folders: tuple[FolderView, ...]
    concerns: tuple[Entry, ...]  # photos that wait for a person, the newest
    concerns_in_all: int
    uncertain: tuple[Entry, ...]  # photos that were published though faces of theirs are uncertain, the newest
    given: dict[State, int] = field(default_factory=dict)  # photos given to `cloak`


@contextmanager
def opened(file: Path) -> Iterator[Database | None]:
    """Give the ledger of one instant to read, None where nothing has been run yet.

    So it is where the file is just being made, and where it is an older uncnn's: the next run brings it up to date.

    Raises LedgerError.
    """
    if not file.exists():
        yield None
        return
    with closing(Database(file, read_only=True)) as database:
        if database.version < len(MIGRATIONS):
            yield None
            return
        with database.reading():
            yield database


def view(file: Path, concerns: int) -> View | None:
    """Return what the ledger says, with so many concerns; None where nothing has been done yet.

    Raises LedgerError.
    """
    with opened(file) as database:
        if database is None:
            return None
        run = _last_run(database)
        folders = tuple(_folder(database, row) for row in database.rows(_FOLDERS))
        found = tuple(
            map(_entry, database.rows(f"SELECT {_ENTRY} {_CONCERNS} ORDER BY changed DESC LIMIT ?", (concerns,)))
        )
        in_all = database.rows(f"SELECT count(*) {_CONCERNS}")[0][0]
        uncertain = tuple(map(_entry, database.rows(_UNCERTAIN, (concerns,))))
        given = {State(state): number for state, number in database.rows(_GIVEN)}
    return View(run, folders, found, in_all, uncertain, given) if run is not None or given else None


def concerns_in_all(file: Path) -> int:
    """Return how many photos wait for a person. Raises LedgerError."""
    with opened(file) as database:
        return 0 if database is None else int(database.rows(f"SELECT count(*) {_CONCERNS}")[0][0])


def entries(file: Path, states: Collection[State], newest: int | None, named: str = "") -> tuple[list[Entry], int]:
    """Return the newest photos in one of `states` (all where it is empty), oldest first, and how many there are in all.

    `named`: only those whose path below their folder has this in it, in whichever case. Raises LedgerError.
    """
    chosen: tuple[Any, ...] = tuple(sorted(states or State))
    where = f"FROM jobs JOIN folders ON folders.id = jobs.folder WHERE state IN ({', '.join('?' * len(chosen))})"
    if named:
        where += " AND instr(lower(CAST(relative AS TEXT)), lower(?)) > 0"
        chosen += (named,)
    with opened(file) as database:
        if database is None:
            return [], 0
        in_all = database.rows(f"SELECT count(*) {where}", chosen)[0][0]
        limit = in_all if newest is None else newest
        found = database.rows(f"SELECT {_ENTRY} {where} ORDER BY changed DESC LIMIT ?", (*chosen, limit))
    return [_entry(row) for row in reversed(found)], in_all


def watched_folders(file: Path) -> list[Path]:
    """Return the folders that the last run watched. Raises LedgerError."""
    with opened(file) as database:
        return [] if database is None else [_path(row["watch"]) for row in database.rows(_FOLDERS)]


_FOLDERS: Final = "SELECT * FROM folders WHERE watched ORDER BY id"
_ENTRY: Final = "jobs.*, folders.watch, folders.publish"
_STATES: Final = ", ".join(f"'{state}'" for state in sorted(NEEDS_PERSON))
_CONCERNS: Final = (
    "FROM jobs JOIN folders ON folders.id = jobs.folder"
    f" WHERE state IN ({_STATES}) AND (watched OR command AND state = 'held')"  # what failed a command said at once
)
_UNCERTAIN: Final = (
    f"SELECT {_ENTRY} FROM jobs INDEXED BY jobs_uncertain JOIN folders ON folders.id = jobs.folder"
    " WHERE watched AND uncertain > 0 AND state = 'published' ORDER BY changed DESC LIMIT ?"
)
_GIVEN: Final = "SELECT state, count(*) FROM jobs JOIN folders ON folders.id = jobs.folder WHERE command GROUP BY state"
_DOUBTS: Final = (
    "SELECT coalesce(sum(faces = 0), 0), coalesce(sum(uncertain > 0), 0), coalesce(sum(provisional), 0)"
    " FROM jobs INDEXED BY jobs_by_verdict WHERE folder = ? AND state = 'published'"
)


def _last_run(database: Database) -> LastRun | None:
    for row in database.rows("SELECT * FROM runs ORDER BY id DESC LIMIT 1"):
        return LastRun(
            pid=row["pid"],
            started=datetime.fromisoformat(row["started"]),
            beat=datetime.fromisoformat(row["beat"]),
            ended=_time(row["ended"]),
            exit_status=row["exit_status"],
            device=row["device"],
            surrogates=tuple(json.loads(row["surrogates"])),
            judges=tuple(json.loads(row["judges"])),
            providers=tuple(json.loads(row["providers"])),
            protection=Protection.of(json.loads(row["protection"])) if row["protection"] else None,
            canaries=tuple(map(CanaryAnswers.of, json.loads(row["canaries"]))),
            servers=tuple(ServerState(**each) for each in json.loads(row["servers"])),
            **{name: row[name] for name in ("kind", "problem", "doing", "published", "faces", "busy_seconds")},
        )
    return None


def _folder(database: Database, row: sqlite3.Row) -> FolderView:
    number = (row["id"],)
    counted = database.rows("SELECT state, count(*) FROM jobs WHERE folder = ? GROUP BY state", number)
    query = "SELECT published, changed FROM jobs WHERE state = 'published' AND folder = ? ORDER BY changed DESC LIMIT 1"
    last = [(_path(published), datetime.fromisoformat(changed)) for published, changed in database.rows(query, number)]
    return FolderView(
        watch=_path(row["watch"]),
        publish=_path(row["publish"]),
        scanned=_time(row["scanned"]),
        found=row["found"],
        new=row["new"],
        blocked=row["blocked"],
        way=Way(row["way"]) if row["way"] else None,
        mode=row["mode"],
        event=_time(row["event"]),
        missed=row["missed"],
        waiting=row["waiting"],
        oldest=_time(row["oldest"]),
        refused=row["refused"],
        ignored={Reason(reason): count for reason, count in json.loads(row["ignored"]).items()},
        counts={State(state): count for state, count in counted},
        doubts=Doubts(*database.rows(_DOUBTS, number)[0]),
        last_published=last[0] if last else None,
    )


def _entry(row: sqlite3.Row) -> Entry:
    published = row["published"] if row["state"] == State.PUBLISHED else None
    return Entry(
        number=row["id"],
        photo=_path(row["watch"]) / _path(row["relative"]),
        state=State(row["state"]),
        reason=row["reason"],
        since=datetime.fromisoformat(row["changed"]),
        attempts=row["attempts"],
        due=_time(row["due"]),
        published=_path(row["publish"]) / _path(published) if published is not None else None,
        same_as=row["same_as"] if row["state"] in SETTLED else None,
        faces=row["faces"],
        uncertain=row["uncertain"],
        provisional=None if row["provisional"] is None else bool(row["provisional"]),
    )


def _path(stored: bytes) -> Path:
    return Path(os.fsdecode(stored))


def _time(stored: str | None) -> datetime | None:
    return datetime.fromisoformat(stored) if stored else None


def _is_alive(pid: int) -> bool:
    """Return whether a process of this number runs; one that is dead and not yet waited for counts as running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def exit_status(found: View | None, now: datetime) -> int:
    """Return 4 where something needs a person, else 3 where nothing runs, else 0."""
    if found is None:
        return NOT_RUNNING
    if found.run is None:
        return DEGRADED if found.concerns_in_all else NOT_RUNNING
    life = found.run.life(now)
    troubled = any(folder.blocked or folder.refused for folder in found.folders)
    if found.concerns_in_all or troubled or problem(found.run, life) or life == "silent":
        return DEGRADED
    return OK if life == "running" else NOT_RUNNING


def problem(run: LastRun, life: Life) -> str:
    """Return what keeps a running service as a whole from working, or ended the last `run --once`."""
    return run.problem if life in ("running", "silent") or run.kind == "once" else ""
