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

from uncnn.daemon.commands import held
from uncnn.daemon.commands.held import Step
from uncnn.daemon.commands.requests import ask
from uncnn.daemon.commands.status import entry_json
from uncnn.daemon.files.folders import ledger_file, named
from uncnn.daemon.files.scan import Ignored, ScanError, scan
from uncnn.daemon.ledger import Job, Ledger, State, TransitionError
from uncnn.daemon.ledger.states import NEEDS_PERSON, RETRIABLE
from uncnn.daemon.ledger.view import Entry, entries, watched_folders
from uncnn.daemon.output import ERROR, OK, print_json
from uncnn.daemon.text import ago, printable
from uncnn.plugins.api import UncnnError

WAITS_FOR_RETRY: Final = frozenset({State.QUARANTINED, State.RETRY, State.BLOCKED})
"""What `retry --all` means: a photo that is held would only be held again."""

Take = Callable[[Ledger, Job], Step]


class AskedError(UncnnError):
    """A photo was asked for that the ledger does not have, or a state that there is not."""

    exit_status = 2


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
    for watch in watched_folders(ledger_file()):
        try:
            passed += [(watch / each.relative, each) for each in scan(watch) if isinstance(each, Ignored)]
        except ScanError as error:
            problems.append(str(error))
    if as_json:
        files = [{"path": str(path), "reason": each.reason.value, "words": each.words} for path, each in passed]
        print_json({"ignored": files, "problems": problems})
        return ERROR if problems else OK
    lines = [f"{printable(path)}: {each.words}" for path, each in passed] + problems
    sys.stdout.write("\n".join(lines or ["no file in the watched folders is ignored"]) + "\n")
    return ERROR if problems else OK


def print_held(as_json: bool) -> int:
    """Print all that waits for a person, and return the exit status. Raises LedgerError."""
    found, in_all = entries(ledger_file(), NEEDS_PERSON, None)
    _print(found, in_all, as_json, "no photo waits for your decision")
    return OK


def retry(photos: Sequence[str], every: bool, as_json: bool) -> int:
    """Queue photos again, or every one that failed or waits; return the exit status. Raises AskedError, LedgerError."""
    return _step(photos, WAITS_FOR_RETRY if every else (), RETRIABLE, held.again, as_json)


def release(photos: Sequence[str], as_json: bool) -> int:
    """Publish the judged copies of photos that are held; return the exit status. Raises AskedError, LedgerError."""
    return _step(photos, (), {State.HELD}, held.release, as_json)


def drop(photos: Sequence[str], every: bool, as_json: bool) -> int:
    """Be done with photos that wait for a person; return the exit status. Raises AskedError, LedgerError."""
    return _step(photos, NEEDS_PERSON if every else (), NEEDS_PERSON, held.drop, as_json)


def _step(photos: Sequence[str], every: Collection[State], able: Collection[State], take: Take, as_json: bool) -> int:
    """Take the step with each of `photos`, or with all that are in a state of `every`."""
    done: list[dict[str, Any]] = []
    with Ledger(ledger_file()) as ledger:
        jobs = [_find(ledger, text, able) for text in photos]
        jobs += [job for state in sorted(every) for job in ledger.jobs(state=state)]
        for job in {job.id: job for job in jobs}.values():
            photo = ledger.folders.paths(job.folder)[0] / job.relative
            try:
                step = take(ledger, job)
            except TransitionError as error:
                step = Step(job, problem=str(error))
            done.append(_step_json(photo, step))
    ask(signal.SIGUSR1)
    if as_json:
        print_json({"photos": done})
    else:
        sys.stdout.write("\n".join(map(_step_words, done) if done else ["nothing to do"]) + "\n")
    return ERROR if any(each["problem"] for each in done) else OK


def _step_json(photo: Path, step: Step) -> dict[str, Any]:
    return {
        "number": step.job.id,
        "photo": str(photo),
        "state": step.job.state.value,
        "published": None if step.published is None else str(step.published),
        "problem": step.problem,
        "note": step.note or None,
    }


def _step_words(step: dict[str, Any]) -> str:
    where = f" -> {printable(step['published'])}" if step["published"] else ""
    note = f"; {step['note']}" if step["note"] else ""
    return f"{printable(step['photo'])}: {step['problem'] or step['state']}{where}{note}"


def show(text: str, config: Path | None, device: str | None, output: Path | None, as_json: bool) -> int:
    """Write a comparison of a held photo with its judged copy, open it where there is a desktop; return the status.

    Raises AskedError, HeldError, LedgerError, and what `compare_photos` raises.
    """
    from uncnn.daemon.commands.compare import compare_photos
    from uncnn.daemon.settings import settings_for  # what it needs takes longer to import than the ledger

    with Ledger(ledger_file()) as ledger:
        pair = held.pair_of(ledger, _find(ledger, text, {State.HELD}))
    if not as_json:
        sys.stdout.write(f"{pair.job.id} {printable(pair.original)}: held {ago(pair.job.changed, datetime.now(UTC))}\n")
        sys.stdout.write(
            f"  {pair.job.reason}\n  before: {printable(pair.original)}\n  after:  {printable(pair.copy)}\n"
        )
    page = output or held.page_of(pair.job)
    settings = settings_for(config, None, None, None, None, None, device)
    status = compare_photos(settings, pair.original, pair.copy, page, as_json)
    if output is None:
        page.chmod(0o600)
        if not as_json:
            held.open_page(page)
    if not as_json:
        number = pair.job.id
        sys.stdout.write(
            f"to publish this copy: uncnn-daemon held release {number}; not to: uncnn-daemon held drop {number}\n"
        )
    return status


def _find(ledger: Ledger, text: str, able: Collection[State]) -> Job:
    """Return the photo of this number, path or name; of its versions, the one that the step can be taken with.

    Raises AskedError: there is none, or the step can be taken with several of that name.
    """
    if text.isdecimal():
        found = ledger.job(int(text))
        if found is None:
            raise AskedError(f"there is no photo number {text}: uncnn-daemon jobs --all lists the photos")
        return found
    versions = ledger.jobs_at(named(Path(text)))
    if not versions and Path(text).name == text:
        versions = ledger.jobs_named(text)
    if not versions:
        raise AskedError(
            f"uncnn knows no photo {printable(text)}: give a number, path or name from uncnn-daemon jobs --all"
        )
    photos = {(job.folder, job.relative): job for job in versions if job.state in able}
    if not photos:
        return versions[-1]
    if len(photos) > 1:
        numbers = ", ".join(str(job.id) for job in photos.values())
        raise AskedError(f"{len(photos)} photos are called {printable(text)}: give one of the numbers {numbers}")
    return next(iter(photos.values()))


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
        sys.stdout.write(f"the newest {len(found)} of {in_all} photos; --all lists all of them\n")
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
