"""`jobs`, `retry` and `held`: what became of the photos, and what a person decides about them, printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uncnn.daemon.commands.status import entry_json, remedy_lines
from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.files.scan import Ignored, ScanError, scan
from uncnn.daemon.jobs import actions, face_decisions
from uncnn.daemon.jobs.actions import AskedError, Step
from uncnn.daemon.jobs.face_decisions import Wish, kept_verdict, open_faces
from uncnn.daemon.ledger import State
from uncnn.daemon.ledger.decisions import LEAVE, NOT_A_PERSON, Kind
from uncnn.daemon.ledger.states import IN_WORK, NEEDS_PERSON
from uncnn.daemon.ledger.view import Entry, entries, watched_folders
from uncnn.daemon.output import ERROR, OK, print_json
from uncnn.daemon.terminal.held_faces import face_line
from uncnn.daemon.text import ago, printable
from uncnn.daemon.verify.faces import faces_json
from uncnn.daemon.verify.keeping import Kept


def print_jobs(states: Sequence[str], newest: int | None, as_json: bool) -> int:
    """Print the newest photos of the ledger in these states, all where there are none, and return the exit status.

    Raises AskedError, LedgerError.
    """
    found, in_all = entries(ledger_file(), _states(states), newest)
    _print(found, in_all, as_json, "no photo" + (f" is {' or '.join(states)}" if states else " has been processed yet"))
    return OK


def print_ignored(as_json: bool) -> int:
    """Print what lies in the watched folders now and is not taken, and why; return 1 where one cannot be read.

    Raises LedgerError.
    """
    passed: list[tuple[Path, Ignored]] = []
    problems: list[str] = []
    ignoring = _folders_without_videos()
    for watch in watched_folders(ledger_file()):
        try:
            found = scan(watch, videos=watch not in ignoring)
            passed += [(watch / each.relative, each) for each in found if isinstance(each, Ignored)]
        except ScanError as error:
            problems.append(str(error))
    if as_json:
        files = [{"path": str(path), "reason": each.reason.value, "words": each.words} for path, each in passed]
        print_json({"ignored": files, "problems": problems})
        return ERROR if problems else OK
    lines = [f"{printable(path)}: {each.words}" for path, each in passed] + problems
    sys.stdout.write("\n".join(lines or ["no file in the watched folders is ignored"]) + "\n")
    return ERROR if problems else OK


def _folders_without_videos() -> set[Path]:
    """Return the watched folders whose policy takes no videos, as far as the configuration can be read."""
    from uncnn.daemon.config import ConfigError, find_config, load  # a library that only this takes

    with suppress(ConfigError):
        config = load(find_config(None))
        return {folder.watch for folder in config.folders if config.policy_of(folder).videos == "ignore"}
    return set()


def print_held(as_json: bool) -> int:
    """Print all that waits for a person, and return the exit status. Raises LedgerError."""
    found, in_all = entries(ledger_file(), NEEDS_PERSON, None)
    verdicts = {entry.number: kept_verdict(entry.number) for entry in found if entry.state is State.HELD}
    if as_json:
        print_json({"photos": [_held_json(each, verdicts.get(each.number)) for each in found], "in_all": in_all})
        return OK
    now = datetime.now(UTC)
    for entry in found:
        sys.stdout.write(f"{_line(entry, now)}\n")
        kept = verdicts.get(entry.number)
        faces = open_faces(kept.verdict.faces) if kept is not None else []
        sys.stdout.writelines(f"{' ' * 7}{face_line(number, face)}\n" for number, face in faces)
    if not found:
        sys.stdout.write("no photo waits for your decision\n")
    sys.stdout.writelines(f"{line}\n" for line in remedy_lines({entry.state for entry in found}))
    return OK


def leave(photo: str, faces: Sequence[int], not_a_person: bool, undo: bool, as_json: bool) -> int:
    """Leave faces of a held photo as they are, or no longer; return the exit status. Raises AskedError, LedgerError."""
    kind: Kind = NOT_A_PERSON if not_a_person else LEAVE
    step = face_decisions.leave(photo, Wish(tuple(faces), None if undo else kind, "command"))
    return _print_steps([step], as_json)


def retry(photos: Sequence[str], every: bool, as_json: bool, strength: str | None = None) -> int:
    """Queue photos again, or every one that failed or waits, with a `strength` of their own where one is given.

    Returns the exit status. Raises AskedError, LedgerError.
    """
    return _print_steps(actions.retry(photos, every, strength), as_json)


def release(photos: Sequence[str], as_json: bool) -> int:
    """Publish the judged copies of photos that are held; return the exit status. Raises AskedError, LedgerError."""
    return _print_steps(actions.release(photos), as_json)


def drop(photos: Sequence[str], every: bool, as_json: bool) -> int:
    """Be done with photos that wait for a person; return the exit status. Raises AskedError, LedgerError."""
    return _print_steps(actions.drop(photos, every), as_json)


def _print_steps(steps: Sequence[Step], as_json: bool) -> int:
    if as_json:
        print_json({"photos": [_step_json(step) for step in steps]})
    else:
        sys.stdout.write("\n".join(map(_step_words, steps) if steps else ["nothing to do"]) + "\n")
    return ERROR if any(step.problem for step in steps) else OK


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "number": step.job.id,
        "photo": str(step.photo),
        "state": step.job.state.value,
        "published": None if step.published is None else str(step.published),
        "problem": step.problem,
        "note": step.note or None,
    }


def _step_words(step: Step) -> str:
    where = f" -> {printable(step.published)}" if step.published else ""
    note = f"; {step.note}" if step.note else ""
    return f"{printable(step.photo)}: {step.problem or step.job.state}{where}{note}"


def _states(names: Sequence[str]) -> list[State]:
    unknown = [name for name in names if name not in set(State)]
    if unknown:
        usual = ", ".join(state for state in State if state not in IN_WORK)
        raise AskedError(f"--state {unknown[0]!r}: choose one of {usual}")
    return [State(name) for name in names]


def _print(found: Sequence[Entry], in_all: int, as_json: bool, nothing: str) -> None:
    if as_json:
        print_json({"photos": [_json(entry) for entry in found], "in_all": in_all})
        return
    now = datetime.now(UTC)
    if len(found) < in_all:
        sys.stdout.write(f"the newest {len(found)} of {in_all} photos; --all lists all of them\n")
    sys.stdout.write("\n".join(_line(entry, now) for entry in found) + "\n" if found else f"{nothing}\n")


def _line(entry: Entry, now: datetime) -> str:
    where = f" -> {printable(entry.published)}" if entry.published else ""
    reason = f": {entry.reason}" if entry.reason else ""
    return f"{entry.number:6} {entry.state:11} {ago(entry.since, now):15} {printable(entry.photo)}{where}{reason}"


def _held_json(entry: Entry, kept: Kept | None) -> dict[str, Any]:
    """Return a photo that waits as JSON values, with the faces that a person may decide about."""
    numbers = {number for number, _ in open_faces(kept.verdict.faces)} if kept is not None else set()
    faces = faces_json(kept.verdict, kept.strengths) if kept is not None else ()
    return {**_json(entry), "faces": [face for face in faces if face["number"] in numbers]}


def _json(entry: Entry) -> dict[str, Any]:
    return {
        **entry_json(entry),
        "attempts": entry.attempts,
        "next_attempt": entry.due.isoformat(timespec="seconds") if entry.due else None,
        "published": str(entry.published) if entry.published else None,
        "faces": entry.faces,
        "uncertain": entry.uncertain,
        "provisional": entry.provisional,
    }
