"""What a person asks of the ledger: what became of the photos, another attempt, the end of holding one back.

A run that is at work sees the change and goes by it; without one, the next run does.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.answers import ERROR, OK, print_json
from uncnn.daemon.asking import ask
from uncnn.daemon.files.folders import ledger_file, named
from uncnn.daemon.ledger import Job, Ledger, State, TransitionError
from uncnn.daemon.ledger.states import NEEDS_PERSON, RETRIABLE
from uncnn.daemon.ledger.view import Entry, entries
from uncnn.daemon.status import entry_json
from uncnn.daemon.wording import ago, printable
from uncnn.plugins.api import UncnnError

WAITS_FOR_RETRY: Final = frozenset({State.QUARANTINED, State.RETRY, State.BLOCKED})
"""What `retry --all` means: a photo that is held would only be held again."""

Step = Callable[[Ledger, Job], Job]


class AskedError(UncnnError):
    """A photo was asked for that the ledger does not have, or a state that there is not."""

    exit_status = 2


def print_jobs(states: Sequence[str], newest: int | None, as_json: bool) -> int:
    """Print the newest photos of the ledger in these states, all where there are none, and return the exit status.

    Raises AskedError, LedgerError.
    """
    found, in_all = entries(ledger_file(), _states(states), newest)
    _print(found, in_all, as_json, "no photo" + (f" is {' or '.join(states)}" if states else " was ever taken"))
    return OK


def print_held(as_json: bool) -> int:
    """Print all that waits for a person, and return the exit status. Raises LedgerError."""
    found, in_all = entries(ledger_file(), NEEDS_PERSON, None)
    _print(found, in_all, as_json, "nothing waits for you")
    return OK


def retry(photos: Sequence[str], every: bool, as_json: bool) -> int:
    """Queue photos again, or every one that failed or waits; return the exit status. Raises AskedError, LedgerError."""
    return _step(photos, WAITS_FOR_RETRY if every else (), RETRIABLE, Ledger.again, as_json)


def release(photos: Sequence[str], as_json: bool) -> int:
    """Let photos go that are held; return the exit status. Raises AskedError, LedgerError."""
    return _step(photos, (), {State.HELD}, Ledger.let_go, as_json)


def drop(photos: Sequence[str], every: bool, as_json: bool) -> int:
    """Be done with photos that wait for a person; return the exit status. Raises AskedError, LedgerError."""
    return _step(photos, NEEDS_PERSON if every else (), NEEDS_PERSON, Ledger.drop, as_json)


def _step(photos: Sequence[str], every: Collection[State], able: Collection[State], step: Step, as_json: bool) -> int:
    """Take the step with each of `photos`, or with all that are in a state of `every`."""
    done: list[dict[str, Any]] = []
    with Ledger(ledger_file()) as ledger:
        jobs = [_find(ledger, text, able) for text in photos]
        jobs += [job for state in sorted(every) for job in ledger.jobs(state=state)]
        for job in {job.id: job for job in jobs}.values():
            photo = ledger.folders.paths(job.folder)[0] / job.relative
            try:
                after, problem = step(ledger, job), None
            except TransitionError as error:
                after, problem = job, str(error)
            done.append({"number": job.id, "photo": str(photo), "state": after.state.value, "problem": problem})
    ask(signal.SIGUSR1)
    if as_json:
        print_json({"photos": done})
    else:
        words = [f"{printable(each['photo'])}: {each['problem'] or each['state']}" for each in done]
        sys.stdout.write("\n".join(words or ["nothing to do"]) + "\n")
    return ERROR if any(each["problem"] for each in done) else OK


def _find(ledger: Ledger, text: str, able: Collection[State]) -> Job:
    """Return the photo of this number or path; of the versions of a path, the one that the step can be taken with."""
    if text.isdecimal():
        found = ledger.job(int(text))
        if found is None:
            raise AskedError(f"there is no photo {text} in the ledger: see uncnn-daemon jobs")
        return found
    path = named(Path(text))
    versions = ledger.jobs_at(path)
    if not versions:
        raise AskedError(f"{printable(text)} is not in the ledger: give its number or path from uncnn-daemon jobs")
    return next((job for job in reversed(versions) if job.state in able), versions[-1])


def _states(names: Sequence[str]) -> list[State]:
    unknown = [name for name in names if name not in set(State)]
    if unknown:
        raise AskedError(f"--state {unknown[0]!r}: choose one of {', '.join(State)}")
    return [State(name) for name in names]


def _print(found: Sequence[Entry], in_all: int, as_json: bool, nothing: str) -> None:
    if as_json:
        print_json({"photos": [_json(entry) for entry in found], "in_all": in_all})
        return
    now = datetime.now(UTC)
    if len(found) < in_all:
        sys.stdout.write(f"the newest {len(found)} of {in_all}; --all shows the others\n")
    sys.stdout.write("\n".join(_line(entry, now) for entry in found) + "\n" if found else f"{nothing}\n")


def _line(entry: Entry, now: datetime) -> str:
    where = f" -> {printable(entry.published)}" if entry.published else ""
    reason = f": {entry.reason}" if entry.reason else ""
    return f"{entry.number:6} {entry.state:11} {ago(entry.since, now):15} {printable(entry.photo)}{where}{reason}"


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
