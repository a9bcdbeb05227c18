"""`uncnn-daemon audit`: looks at what was published, says what is not as it was, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uncnn.daemon.audit.auditor import Auditor
from uncnn.daemon.audit.findings import count, exit_status
from uncnn.daemon.audit.last import LastAudit, read_last, write_last
from uncnn.daemon.audit.progress import AuditError, Progress, read_pass
from uncnn.daemon.audit.released import Chosen, Library
from uncnn.daemon.audit.report import in_all_of, print_audit
from uncnn.daemon.audit.today import Today
from uncnn.daemon.files.folders import data_dir, ledger_file, named, state_dir
from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.output import USAGE
from uncnn.daemon.protect.messages import Ready
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.settings import configuration
from uncnn.daemon.terminal.progress import progress_bar
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError


class WrongDateError(UncnnError):
    """`--since` is no date."""

    exit_status = USAGE


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an audit was asked for."""

    folders: tuple[Path, ...]
    since: str | None  # a date
    judge: bool
    limit: int | None  # photos in this call
    anew: bool
    as_json: bool


def audit_photos(file: Path | None, wanted: Wanted) -> int:
    """Look at the published photos, go on where an audit was broken off, print what was found; return the exit status.

    Raises:
        LedgerError, FolderError, AuditError: uncnn's own folders cannot be used. ChoiceError, WrongDateError: an option
        is wrong. ConfigError. RequestError, ProcessDied: the models are not there or do not load.
    """
    chosen = Chosen(tuple(map(named, wanted.folders)), _date(wanted.since))
    config, state = configuration(file), state_dir()
    sweep_workspaces()
    with (
        stopped_by_sigterm(),
        Library(ledger_file(), chosen) as library,
        workspace() as spool,
        ProcessEngine(config.models, config.device, data_dir(), spool, config.service.deadline_seconds) as engine,
    ):
        today = Today.of(config, engine)
        if wanted.judge:
            engine.judge(Ready())
        with Progress(state, _asked(wanted, chosen, today), wanted.anew) as progress:
            before = progress.audit.photos
            with _summed_up(state, library, progress, wanted):
                left = library.count(progress.audit.last)
                number = left if wanted.limit is None else min(left, wanted.limit)
                with progress_bar(number, wanted.as_json) as bar:
                    Auditor(config, engine, today, spool, wanted.judge).work(library, progress, bar, number)
                if number == left:
                    progress.end()
            print_audit(progress.audit, before, library.count(), wanted.as_json)
            return exit_status(count(progress.audit.findings))


def show_last(as_json: bool) -> int:
    """Print what the last audit found, and return its exit status. Raises AuditError: there was none."""
    found = read_pass(state_dir())
    if found is None:
        raise AuditError("there has been no audit yet: run uncnn-daemon audit")
    last = read_last(state_dir())
    print_audit(found, 0, last.in_all if last else None, as_json)
    return exit_status(count(found.findings))


@contextmanager
def _summed_up(state: Path, library: Library, progress: Progress, wanted: Wanted) -> Iterator[None]:
    """Leave for `status` what the audit comes to, ended or broken off."""
    try:
        yield
    finally:
        audit = progress.audit
        last = LastAudit(
            datetime.now(UTC), wanted.judge, audit.photos, in_all_of(audit, library.count()), count(audit.findings)
        )
        try:
            write_last(state, last)
        except OSError as error:
            raise AuditError(f"{printable(state)} cannot be written: {system_words(error)[1]}") from error


def _asked(wanted: Wanted, chosen: Chosen, today: Today) -> dict[str, Any]:
    """Return what tells an audit from another: what was found under other models or policies does not add up."""
    policies = {str(folder.watch): today.config.policy_of(folder).digest() for folder in today.config.folders}
    return {
        "folders": sorted(map(str, chosen.folders)),
        "since": wanted.since,
        "judge": wanted.judge,
        "made_with": today.made_with,
        "policies": policies,
    }


def _date(text: str | None) -> datetime | None:
    """Return the first moment of a day here."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise WrongDateError(f"--since {text!r} is not a date: write it as 2026-01-31") from error
