"""`run --once`: what lies in the watched folders goes down its path, then the run ends."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from uncnn.daemon.audit.last import read_last
from uncnn.daemon.config import Config, ConfigError, find_config, load
from uncnn.daemon.files.folders import data_dir, ledger_file, state_dir
from uncnn.daemon.files.names import Reason, ignored_words, is_video_name
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.files.scan import ScanError
from uncnn.daemon.files.workspace import only_run, sweep_workspaces, workspace
from uncnn.daemon.jobs.photo_job import FolderBlocked, JobContext, take
from uncnn.daemon.jobs.recovery import recover
from uncnn.daemon.jobs.result import Done
from uncnn.daemon.ledger import Job, Ledger, LedgerError, Run, State
from uncnn.daemon.ledger.doubts import NO_DOUBTS, Doubts
from uncnn.daemon.ledger.view import view
from uncnn.daemon.output import DEGRADED, ERROR, print_json
from uncnn.daemon.protect.process_engine import LOADING, ProcessEngine
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.remote.engine import engine_for
from uncnn.daemon.terminal.progress import Bar, progress_bar
from uncnn.daemon.terminal.results import counts_of, done_json, exit_status, say, say_line
from uncnn.daemon.text import printable, system_words
from uncnn.daemon.video.protector import ClipProtector
from uncnn.daemon.watch.backlog import (
    ScanResult,
    SourceFolder,
    prepare_publish,
    refused_words,
    scan_folder,
    source_folders,
)
from uncnn.exporters.registry.store import Installed
from uncnn.plugins.api import UncnnError


@dataclass(slots=True)
class Summary:
    """What a run did, and what it met."""

    quiet: bool  # nothing is said before the end
    bar: Bar | None = None  # makes way for what is said
    done: list[Done] = field(default_factory=list)
    standing: list[tuple[str, Job]] = field(default_factory=list)  # from earlier runs, waiting for a person
    problems: dict[Path, str] = field(default_factory=dict)  # of watched folders
    refusals: dict[Path, list[str]] = field(default_factory=dict)  # what of each cannot be taken, and why
    ignored: dict[Path, Counter[Reason]] = field(default_factory=dict)  # what of each is not taken

    def add(self, done: Done) -> None:
        """Note a photo that is done."""
        self.done.append(done)
        if not self.quiet:
            with self.bar.aside() if self.bar is not None else nullcontext():
                say(done)

    def doubts(self) -> Doubts:
        """Return how many photos were published on less than the full proof."""
        return sum((done.doubts for done in self.done), NO_DOUBTS)

    def exit_status(self) -> int:
        """Return 1 where a photo or folder failed, 4 where one is held, 6 where one has a face in doubt, or 0."""
        states = {job.state for _, job in self.standing}
        if self.problems or State.QUARANTINED in states:
            return ERROR
        own = exit_status(self.done)
        return DEGRADED if State.HELD in states and own != ERROR else own


def run_once(config: Path | None, as_json: bool) -> int:
    """Cloak and release what lies in the watched folders, and return the exit status.

    Raises:
        ConfigError: the configuration is wrong. RunningError: another run is at work.
        LedgerError, FolderError: uncnn's own folders cannot be used. RequestError, ProcessDied: the models are not
        there or do not load.
    """
    settings = load(find_config(config))
    with (
        only_run(),
        _measured(settings.service.metrics),
        stopped_by_sigterm(),
        Ledger(ledger_file()) as ledger,
        Run(ledger_file()).beating() as run,
    ):
        summary = Summary(as_json)
        try:
            _drain(settings, ledger, run, summary)
        except UncnnError as error:
            with suppress(LedgerError):  # which may be what ended it
                run.report(str(error), "", 0, 0, 0.0)  # what status says of it afterwards
            raise
        run.exit_status = summary.exit_status()
        _print(summary, as_json)
    return run.exit_status


@contextmanager
def _measured(file: Path | None) -> Iterator[None]:
    """Write the measures at the end, however it ends, where the configuration names a file for them."""
    try:
        yield
    finally:
        found = view(ledger_file(), concerns=1) if file is not None else None
        if file is not None and found is not None:
            from uncnn.daemon.service.metrics import write_metrics  # a library that only this takes

            try:
                write_metrics(file, found, read_last(state_dir()))
            except OSError as error:
                words = f"the metrics cannot be written to {printable(file)}: {system_words(error)[1]}"
                sys.stderr.write(f"{words}\n")


def _drain(config: Config, ledger: Ledger, run: Run, summary: Summary) -> None:
    """Do what there is to do, one photo after another."""
    sweep_workspaces()
    recover(ledger)
    ledger.wake()
    looks = [seen for source in source_folders(config, ledger) if (seen := _look(ledger, source, summary)) is not None]
    new = sum(len(seen.new) for seen in looks)
    if new == 0:
        return
    with (
        workspace() as spool,
        engine_for(config.models, config.device, data_dir(), spool, config.servers) as engine,
        progress_bar(new, summary.quiet) as bar,
        ClipProtector(config.device) as clips,
    ):
        summary.bar = bar
        context = JobContext(ledger, engine, spool, bar.report, _starter(engine, run, bar), clips=clips)
        try:
            for is_clip in (False, True):  # minutes each: no photo waits for them
                for seen in looks:
                    own = tuple(found for found in seen.new if is_video_name(found.relative.name) == is_clip)
                    if seen.source.folder.watch not in summary.problems:
                        _drain_folder(context, replace(seen, new=own), bar, summary)
            engine.hear_canaries()
        finally:
            with suppress(LedgerError):  # which may be what ended it
                run.canaries_said(engine.canaries)
                run.servers_seen(engine.servers_seen)


def _drain_folder(context: JobContext, seen: ScanResult, bar: Bar, summary: Summary) -> None:
    watch = seen.source.folder.watch
    refusals = summary.refusals.setdefault(watch, seen.refusals())
    for source, found in enumerate(seen.new):
        bar.begin(seen.source.name(found.relative))
        wait = seen.settle_seconds(found)
        if wait > 0:
            bar.report(Stage("waiting until it is complete"))
            time.sleep(wait)
        try:
            policy = seen.source.at(found.relative)
        except ConfigError as error:  # a .uncnn.yaml that was right when the folder was looked at
            words = error.line
            summary.add(Done(seen.source.name(found.relative), "error", words))
            refusals.append(f"{printable(found.relative)}: {words}")
            continue
        try:
            summary.add(take(context, policy, found, lambda changed: seen.settle_seconds(changed) > 0))
        except FolderBlocked as error:
            left = len(seen.new) - source
            summary.problems[watch] = f"{error} ({left} of its photos are waiting)"
            context.ledger.folders.block(seen.source.number, str(error))
            break
    context.ledger.folders.refused(seen.source.number, refused_words(refusals))


def _look(ledger: Ledger, source: SourceFolder, summary: Summary) -> ScanResult | None:
    """Return what is to do in a folder, or None where it cannot be read or published."""
    try:
        seen = scan_folder(ledger, source)
        prepare_publish(ledger, source)
    except (ScanError, PublishError) as error:
        summary.problems[source.folder.watch] = str(error)
        ledger.folders.block(source.number, str(error))
        return None
    summary.ignored[source.folder.watch] = seen.ignored
    ledger.folders.refused(source.number, refused_words(seen.refusals()))
    for words in seen.videos_words():
        summary.add(Done(printable(source.folder.watch), "error", words, taken=False))
    for refused in seen.refused:
        summary.add(Done(source.name(refused.relative), "error", refused.refused or ""))
    summary.standing += [(source.name(job.relative), job) for job in seen.standing]
    return seen


def _starter(engine: ProcessEngine, run: Run, bar: Bar) -> Callable[[], None]:
    """Return what loads the models when it is called first."""

    def start() -> None:
        if not engine.started:
            bar.report(Stage(LOADING))
            run.report("", LOADING, 0, 0, 0.0)
            device = engine.start()
            run.report("", "", 0, 0, 0.0)
            roster = engine.roster
            names = (_names(roster.surrogates), _names(roster.judges))
            run.works_with(device, *names, engine.providers, engine.protection)

    return start


def _names(models: Sequence[Installed]) -> list[str]:
    return [model.card.name for model in models]


def _print(summary: Summary, as_json: bool) -> None:
    """Print what needs a person, last."""
    if as_json:
        standing = [{"photo": name, "state": job.state.value, "reason": job.reason} for name, job in summary.standing]
        folders = [{"watch": str(watch), "problem": problem} for watch, problem in summary.problems.items()]
        passed = {str(watch): dict(found) for watch, found in summary.ignored.items() if found}
        counts, released = asdict(counts_of(summary.done)), summary.doubts().as_json()
        photos = [done_json(each) for each in summary.done]
        print_json(
            {
                "photos": photos,
                "counts": counts,
                "released": released,
                "standing": standing,
                "problems": folders,
                "ignored": passed,
            }
        )
        return
    if not (summary.done or summary.problems):
        sys.stdout.write("no new photos in the watched folders\n")
    proven = replace(summary.doubts(), uncertain=0)  # by the ledger, which knows what became of the same picture before
    doubtful = replace(counts_of(summary.done), without_a_face=0)
    sys.stdout.writelines(f"{words}\n" for words in (*proven.words(), *doubtful.words()))
    for watch, found in summary.ignored.items():
        if words := ignored_words(found):
            sys.stdout.write(f"{printable(watch)}: ignored: {words}; uncnn-daemon jobs --ignored lists them\n")
    for name, job in summary.standing:
        say_line(name, f"still {job.state} {job.id}", f": {job.reason}", "yellow")
    for watch, problem in summary.problems.items():
        say_line(str(watch), "blocked", f": {problem}", "red")
