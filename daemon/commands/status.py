"""The status: what the daemon did and does, from the ledger alone, so that it works with the daemon dead.

What needs a person comes last, so that it is not scrolled away. Neither torch nor numpy nor rich is imported.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from uncnn.daemon.audit.last import LastAudit, read_last
from uncnn.daemon.files.folders import ledger_file, state_dir
from uncnn.daemon.files.names import ignored_words
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.ledger.states import State
from uncnn.daemon.ledger.view import Entry, FolderView, LastRun, Life, View, exit_status, problem, view
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.text import ago, photos, printable
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

WATCH_SECONDS: Final = 2.0
CONCERNS: Final = 20
"""So many photos that need a person are named."""

NAMED: Final = 5
"""So many photos with uncertain faces are named for people."""

_LIFE: Final[dict[Life, str]] = {
    "running": "running",
    "silent": "running, but not responding: stop it and start it again",
    "ended": "not running",
    "died": "not running: the process was killed; the next start continues where it stopped",
}


def print_status(as_json: bool) -> int:
    """Print the status and return the exit status: 0 running and well, 3 not running, 4 something needs a person.

    Raises LedgerError.
    """
    now = datetime.now(UTC)
    found = view(ledger_file(), CONCERNS)
    audit = read_last(state_dir())
    if as_json:
        print_json(status_json(found, now, audit))
    else:
        sys.stdout.write("\n".join(status_lines(found, now, audit)) + "\n")
    return exit_status(found, now)


def watch_status() -> int:
    """Show the status anew every few seconds until Ctrl-C, or until nobody reads it; return the last exit status.

    Raises LedgerError.
    """
    clear = "\x1b[H\x1b[2J" if sys.stdout.isatty() else ""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)  # a pipe or terminal whose other end is closed
    status = OK
    with suppress(KeyboardInterrupt):
        while True:
            sys.stdout.write(clear)
            status = print_status(as_json=False)
            sys.stdout.flush()
            if reader.poll(1000 * WATCH_SECONDS):
                break
    return status


def status_lines(found: View | None, now: datetime, audit: LastAudit | None = None) -> Iterator[str]:
    """Yield the status in lines for people."""
    if found is None or found.run is None:
        yield "the service has not been started yet: uncnn-daemon service install, or uncnn-daemon run"
        if found is not None:  # what `cloak` did
            yield from _given_lines(found)
            yield from _concern_lines(found, "")
        return
    yield from _run_lines(found.run, now)
    for folder in found.folders:
        yield ""
        yield from _folder_lines(folder, now)
    yield ""
    yield from _given_lines(found)
    if audit is not None:
        yield audit.words(now)
    yield from _uncertain_lines(found.uncertain)
    yield from _concern_lines(found, problem(found.run, found.run.life(now)))


def _run_lines(run: LastRun, now: datetime) -> Iterator[str]:
    yield _LIFE[run.life(now)]
    if run.ended is None:
        yield f"  process {run.pid}, started {ago(run.started, now)}, last reported {ago(run.beat, now)}"
    else:
        yield f"  last run ended {ago(run.ended, now)} with exit status {run.exit_status}"
    is_there = run.is_there(now)
    if run.device is None:
        if run.canaries:
            yield from _canary_lines(run.canaries, now)
        elif not is_there:
            yield "  it ended before any models were loaded: there was nothing to cloak, or it was stopped too soon"
        else:
            yield f"  now: {run.doing or 'waiting for the first photo; the models are loaded then'}"
        return
    if run.kind == "service" and run.published:
        each = f", {run.busy_seconds / run.published:.0f} s each" if run.busy_seconds else ""
        faces = "1 protected face" if run.faces == 1 else f"{run.faces} protected faces"
        yield f"  published since the start: {photos(run.published)} with {faces}{each}"
    if run.doing and is_there:
        yield f"  now: {run.doing}"
    verifier = f"; verifier: {', '.join(run.providers)}" if run.providers else ""
    yield f"  device: {run.device}{verifier}"
    yield f"  attacked recognisers: {', '.join(run.surrogates) or 'none'}"
    yield f"  judges: {', '.join(run.judges) or 'none'}"
    yield from _canary_lines(run.canaries, now)
    yield from _server_lines(run.servers, is_there)
    if run.protection is not None:
        yield f"  {run.protection.words}"


def _server_lines(servers: Sequence[ServerState], is_asked: bool) -> Iterator[str]:
    """Yield which servers change faces, and which are of no use at present; nobody asks them once a run is over."""
    for each in servers:
        device = f"connected, {printable(each.device)}" if each.device else "not connected"
        yield f"  server {each.address}: {device if is_asked else 'not asked any more'}"
        if each.problem:
            yield f"    when it was last asked: {each.problem}"


def _canary_lines(canaries: Sequence[CanaryAnswers], now: datetime) -> Iterator[str]:
    """Yield which models said of known faces what they must when they were last asked, and which did not."""
    for each in canaries:
        when = ago(datetime.fromisoformat(each.asked), now)
        yield f"  canaries of the {each.process}, asked {when}: passed by {', '.join(each.passed) or 'none'}"
        if each.failed:
            yield f"    failed by {', '.join(each.failed)}: {each.problem}"


def _folder_lines(folder: FolderView, now: datetime) -> Iterator[str]:
    yield f"{printable(folder.watch)} -> {printable(folder.publish)}"
    if folder.scanned is None:
        yield "  not scanned yet"
    else:
        yield f"  scanned {ago(folder.scanned, now)}: {photos(folder.found)} found, {folder.new} of them new"
    if passed := ignored_words(folder.ignored):
        yield f"  ignored: {passed}; uncnn-daemon jobs --ignored lists them"
    if folder.mode:
        event = f", the last one {ago(folder.event, now)}" if folder.event else ""
        missed = f"; {photos(folder.missed)} arrived without an event" if folder.missed else ""
        yield f"  watched by {folder.mode}{event}{missed}"
    if folder.way is not None and folder.way.words:
        yield f"  {folder.way.words}"
    if folder.waiting:
        oldest = f", the oldest since {ago(folder.oldest, now)}" if folder.oldest else ""
        yield f"  {photos(folder.waiting)} waiting{oldest}"
    yield f"  {_counts(folder.counts) or 'no photos yet'}"
    yield from (f"  {words}" for words in folder.doubts.words())
    if folder.last_published is not None:
        path, time = folder.last_published
        yield f"  last published: {printable(path)}, {ago(time, now)}"


def _counts(counts: Mapping[State, int]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in State if counts.get(state))


def _given_lines(found: View) -> Iterator[str]:
    if counts := _counts(found.given):
        yield f"given to uncnn-daemon cloak: {counts}"


def _uncertain_lines(uncertain: Sequence[Entry]) -> Iterator[str]:
    """Yield the newest photos that were published with faces in doubt: they need nobody, but a look."""
    for entry in reversed(uncertain[:NAMED]):
        yield f"uncertain {entry.number}: {printable(entry.photo)}: {entry.reason}"


def _concern_lines(found: View, problem: str) -> Iterator[str]:
    blocked = [folder for folder in found.folders if folder.blocked]
    refused = [folder for folder in found.folders if folder.refused]
    number = found.concerns_in_all + len(blocked) + len(refused) + bool(problem)
    if number == 0:
        yield "nothing needs your attention"
        return
    yield f"needs your attention ({number}):"
    more = found.concerns_in_all - len(found.concerns)
    if more > 0:
        yield f"  and {photos(more)} more: uncnn-daemon held list"
    yield from (
        f"  {concern.state} {concern.number}: {printable(concern.photo)}: {concern.reason}"
        for concern in found.concerns[::-1]
    )
    yield from remedy_lines({concern.state for concern in found.concerns})
    yield from (f"  cannot be used: {printable(folder.watch)}: {folder.refused}" for folder in refused)
    yield from (f"  blocked: {printable(folder.watch)}: {folder.blocked}" for folder in blocked)
    if problem:
        yield f"  all photos are waiting: {problem}"


def remedy_lines(states: Collection[State]) -> Iterator[str]:
    """Yield what a person can do with photos in these states, a line each."""
    yield from (f"  {state}: {_REMEDIES[state]}" for state in State if state in states and state in _REMEDIES)


_REMEDIES: Final = {
    State.QUARANTINED: "uncnn-daemon retry NUMBER tries it again, held drop NUMBER ends it",
    State.HELD: "uncnn-daemon held show NUMBER shows the change, held release NUMBER publishes it, held leave NUMBER"
    " --face N leaves a face as it is, held drop NUMBER ends it",
}


def status_json(found: View | None, now: datetime, audit: LastAudit | None = None) -> dict[str, Any]:
    """Return the status as JSON values."""
    looked = {"audit": audit.as_json() if audit else None}
    if found is None or found.run is None:
        held = [] if found is None else [entry_json(concern) for concern in found.concerns]
        in_all = 0 if found is None else found.concerns_in_all
        given = _numbers({} if found is None else found.given)
        nothing = {"folders": [], "given": given, "needs_you": held, "needs_you_in_all": in_all, "uncertain": []}
        return {"service": {"state": "not-run"}, **nothing, **looked}
    troubled = sum(bool(folder.blocked) + bool(folder.refused) for folder in found.folders)
    troubled += bool(problem(found.run, found.run.life(now)))
    return {
        "service": _run_json(found.run, now),
        "folders": [_folder_json(folder) for folder in found.folders],
        "given": _numbers(found.given),
        "needs_you": [entry_json(concern) for concern in found.concerns],
        "needs_you_in_all": found.concerns_in_all + troubled,
        "uncertain": [entry_json(entry) for entry in found.uncertain],
        **looked,
    }


def _run_json(run: LastRun, now: datetime) -> dict[str, Any]:
    is_there = run.is_there(now)
    return {
        "state": run.life(now),
        "kind": run.kind,
        "problem": run.problem or None,
        "doing": (run.doing if is_there else "") or None,
        "published": run.published,
        "faces": run.faces,
        "busy_seconds": round(run.busy_seconds, 3),
        "pid": run.pid,
        "started": _time(run.started),
        "beat": _time(run.beat),
        "beat_age_seconds": round((now - run.beat).total_seconds(), 3),
        "ended": _time(run.ended),
        "exit_status": run.exit_status,
        "device": run.device,
        "providers": list(run.providers),
        "protection": None if run.protection is None else asdict(run.protection),
        "surrogates": list(run.surrogates),
        "judges": list(run.judges),
        "servers": [
            {
                "address": each.address,
                "device": (each.device if is_there else "") or None,  # null: it is not connected
                "problem": each.problem or None,
            }
            for each in run.servers
        ],
        "canaries": [{**asdict(each), "problem": each.problem or None} for each in run.canaries],
    }


def _folder_json(folder: FolderView) -> dict[str, Any]:
    path, time = folder.last_published or (None, None)
    return {
        "watch": str(folder.watch),
        "publish": str(folder.publish),
        "scanned": _time(folder.scanned),
        "found": folder.found,
        "new": folder.new,
        "blocked": folder.blocked or None,
        "refused": folder.refused or None,
        "ignored": {reason.value: number for reason, number in folder.ignored.items()},
        "way": folder.way.value if folder.way else None,
        "mode": folder.mode or None,
        "last_event": _time(folder.event),
        "missed_by_events": folder.missed,
        "waiting": folder.waiting,
        "oldest_waiting": _time(folder.oldest),
        "counts": _numbers(folder.counts),
        "released": folder.doubts.as_json(),
        "last_published": {"path": str(path), "time": _time(time)} if path else None,
    }


def _numbers(counts: Mapping[State, int]) -> dict[str, int]:
    return {state.value: counts.get(state, 0) for state in State}


def entry_json(concern: Entry) -> dict[str, Any]:
    """Return a photo of the ledger as JSON values."""
    return {
        "number": concern.number,
        "photo": str(concern.photo),
        "state": concern.state.value,
        "reason": concern.reason,
        "same_as": concern.same_as,
        "since": _time(concern.since),
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time else None
