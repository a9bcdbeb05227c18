"""`uncnn-daemon audit`: looks at what was released, says what is not as it was, and changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uncnn.daemon.answers import USAGE, print_json
from uncnn.daemon.audit.findings import Finding, Kind, count, exit_status, in_words
from uncnn.daemon.audit.last import LastAudit, read_last, write_last
from uncnn.daemon.audit.progress import AuditError, Pass, Progress, read_pass
from uncnn.daemon.audit.released import Chosen, Library, Released
from uncnn.daemon.audit.today import NO_VERDICT, NotJudgedError, Today, judge_again, new_judges, policy_then, read_kept
from uncnn.daemon.commands import configuration
from uncnn.daemon.config import Config
from uncnn.daemon.crew import Crew
from uncnn.daemon.files.folders import data_dir, ledger_file, named, state_dir
from uncnn.daemon.files.standing import elsewhere, standing
from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.processes import ProcessDied, stopped_by_sigterm
from uncnn.daemon.terminal import Bar, progress_bar
from uncnn.daemon.wording import photos, printable, system_words
from uncnn.plugins.api import UncnnError

NAMED = 50
"""So many findings are printed, the worst first; --json has all."""

DIED = 3
"""Where the verifier died over so many photos in a row, the audit ends; it goes on with the next call."""


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
    """Look at the released photos, go on where an audit was broken off, print what was found; return the exit status.

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
        Crew(config.models, config.device, data_dir(), spool, config.service.deadline_seconds) as crew,
    ):
        today = Today.of(config, crew)
        if wanted.judge:
            crew.ask_verifier({"do": "ready"})
        with Progress(state, _asked(wanted, chosen, today), wanted.anew) as progress:
            before = progress.audit.photos
            with _summed_up(state, library, progress, wanted):
                left = library.count(progress.audit.last)
                number = left if wanted.limit is None else min(left, wanted.limit)
                with progress_bar(number, wanted.as_json) as bar:
                    _Auditor(config, crew, today, spool, wanted.judge).work(library, progress, bar, number)
                if number == left:
                    progress.end()
            _print(progress.audit, before, library.count(), wanted.as_json)
            return exit_status(count(progress.audit.findings))


def show_last(as_json: bool) -> int:
    """Print what the last audit found, and return its exit status. Raises AuditError: there was none."""
    found = read_pass(state_dir())
    if found is None:
        raise AuditError("no audit was run yet: uncnn-daemon audit")
    last = read_last(state_dir())
    _print(found, 0, last.in_all if last else None, as_json)
    return exit_status(count(found.findings))


@dataclass(slots=True)
class _Auditor:
    """Looks at one photo after another."""

    config: Config
    crew: Crew
    today: Today
    spool: Path
    judge: bool
    died: int = 0  # so often in a row did the verifier die over a photo
    names: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)  # what a publish folder has, once looked for

    def work(self, library: Library, progress: Progress, bar: Bar, number: int) -> None:
        """Look at so many photos from where the progress is on."""
        for _, photo in zip(range(number), library.photos(progress.audit.last), strict=False):
            bar.begin(str(photo.relative))
            progress.done(photo.job.id, list(self.look(photo, progress, bar)))

    def look(self, photo: Released, progress: Progress, bar: Bar) -> Iterator[Finding]:
        """Yield what is not as it was with a photo."""
        bar.report({"stage": "reading"})
        assert photo.job.released_sha256 is not None
        if not photo.publish.is_dir():
            gone = f"the publish folder {printable(photo.publish)} is not there"
            progress.count(f"not looked at: {gone}")
            if photo.publish not in self.names:  # said once, not for each of its photos
                self.names[photo.publish] = {}
                yield _finding(photo, "unreadable", f"{gone}, so none of its photos could be looked at")
            return
        found = standing(photo.publish, photo.relative, photo.job.released_sha256, photo.job.placed)
        if found.kind == "there":
            yield from self._passes(photo, progress, bar)
            return
        names = self.names.setdefault(photo.publish, {})
        moved = (
            elsewhere(photo.publish, photo.relative.name, photo.job.released_sha256, names)
            if found.kind == "missing"
            else None
        )
        if moved is None:
            yield _finding(photo, found.kind, found.words)
        else:
            yield _finding(photo, "moved", f"the same bytes stand as {printable(moved)}")

    def _passes(self, photo: Released, progress: Progress, bar: Bar) -> Iterator[Finding]:
        """Yield where a photo that stands as it was released would not be released any more."""
        if photo.job.anyway:
            progress.count("released at a person's word")
            return
        configured = self.today.configured(photo)
        if self.today.is_same(photo, configured):
            return
        kept = read_kept(photo)
        policy = configured or policy_then(kept)
        linked = self.today.linked_by_figures(kept, policy) if kept is not None else ""
        if linked:
            yield _finding(photo, "not-passed", linked)
        elif not self.judge:
            progress.count(NO_VERDICT if kept is None else "judged by other models or another policy than today's")
            for name in new_judges(kept, self.today.roster) if kept is not None else ():
                progress.count(f"judged without {name}")
        else:
            bar.report({"stage": "judging"})
            try:
                reason = judge_again(self.crew, photo, policy, self.spool)
            except ProcessDied as error:
                self.died += 1
                if self.died == DIED:  # it is no fault of the photos
                    raise
                yield _finding(photo, "unreadable", str(error))
                return
            except (NotJudgedError, UncnnError, OSError) as error:
                words = system_words(error)[1] if isinstance(error, OSError) else str(error)
                yield _finding(photo, "not-judged" if isinstance(error, NotJudgedError) else "unreadable", words)
                return
            self.died = 0
            progress.count("judged again")
            if reason:
                yield _finding(photo, "not-passed", reason)


@contextmanager
def _summed_up(state: Path, library: Library, progress: Progress, wanted: Wanted) -> Iterator[None]:
    """Leave for `status` what the audit comes to, ended or broken off."""
    try:
        yield
    finally:
        audit = progress.audit
        last = LastAudit(
            datetime.now(UTC), wanted.judge, audit.photos, _in_all(audit, library.count()), count(audit.findings)
        )
        try:
            write_last(state, last)
        except OSError as error:
            raise AuditError(f"{printable(state)} cannot be written: {system_words(error)[1]}") from error


def _in_all(audit: Pass, in_all: int) -> int:
    """Return how many photos the audit is over; those that came while it was at work are for the next."""
    return audit.photos if audit.ended is not None else max(in_all, audit.photos)


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
        raise WrongDateError(f"--since {text!r} is no date: write it as 2026-01-31") from error


def _finding(photo: Released, kind: Kind, words: str) -> Finding:
    original, published = photo.watch / photo.job.relative, photo.publish / photo.relative
    return Finding(photo.job.id, kind, str(original), str(published), words)


def _print(audit: Pass, before: int, in_all: int | None, as_json: bool) -> None:
    total = _in_all(audit, in_all or audit.photos)
    counts = count(audit.findings)
    if as_json:
        print_json(
            {
                "began": audit.began.isoformat(timespec="seconds"),
                "ended": audit.ended.isoformat(timespec="seconds") if audit.ended else None,
                "judged": bool(audit.asked.get("judge")),
                "photos": audit.photos,
                "photos_before": before,
                "in_all": total,
                "counts": counts,
                "notes": audit.notes,
                "findings": [finding.as_json() for finding in audit.findings],
            }
        )
        return
    sys.stdout.write("\n".join(_lines(audit, before, total, counts)) + "\n")


def _lines(audit: Pass, before: int, total: int, counts: dict[str, int]) -> Iterator[str]:
    if before:
        yield f"gone on with after {photos(before)}"
    order = list(counts)
    findings = sorted(audit.findings, key=lambda finding: (order.index(finding.kind), finding.number))
    yield from (finding.line() for finding in findings[:NAMED])
    if len(findings) > NAMED:
        yield f"{len(findings) - NAMED} more, not named here: --json has them"
    yield from (f"note: {photos(number)} {name}" for name, number in sorted(audit.notes.items()))
    if not audit.asked.get("judge") and any(name != "released at a person's word" for name in audit.notes):
        yield "uncnn-daemon audit --judge asks today's models about them"
    far = "" if audit.ended else f" of {total}; run it again to go on"
    yield f"looked at {photos(audit.photos)}{far}: {in_words(counts) or 'all as they were released'}"
