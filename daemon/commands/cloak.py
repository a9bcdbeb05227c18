"""The command `cloak`: photos and folders that a person names go down the path of watched ones, into one output folder.

What becomes of each is in the ledger: a photo that was done before is passed over, one that is held waits in `held`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from uncnn.daemon.config import Folder
from uncnn.daemon.control.service_engine import EitherEngine
from uncnn.daemon.files.folders import ledger_file, state_dir
from uncnn.daemon.files.names import is_video_name
from uncnn.daemon.files.opening import make_durable
from uncnn.daemon.files.publish import PublishError, sweep, way_into
from uncnn.daemon.files.scan import Found, ScanError, candidates
from uncnn.daemon.files.standing import state_of
from uncnn.daemon.jobs.duplicates import made_for, made_with
from uncnn.daemon.jobs.photo_job import FolderBlocked, JobContext, done_before, take
from uncnn.daemon.jobs.recovery import recover
from uncnn.daemon.jobs.result import Done
from uncnn.daemon.ledger import Job, Ledger, State
from uncnn.daemon.ledger.states import IN_WORK, SETTLED
from uncnn.daemon.output import print_json
from uncnn.daemon.protect.engine import LoadedEngine
from uncnn.daemon.protect.process_engine import LOADING
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.settings import Settings, SettingsError, work
from uncnn.daemon.terminal.progress import Bar, progress_bar
from uncnn.daemon.terminal.results import counts_of, done_json, exit_status, say, say_counts, say_summary
from uncnn.daemon.text import printable
from uncnn.daemon.video.protector import ClipProtector
from uncnn.daemon.watch.backlog import SourceFolder, source_of

FULL: Final = 10
"""So many photos at most are said with their table; of more, each has a line."""


@dataclass(frozen=True, slots=True)
class PhotoTask:
    """A photo that is to be cloaked."""

    source: SourceFolder
    found: Found
    name: str  # as the person wrote it


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks `cloak` for."""

    settings: Settings
    output: Path  # absolute

    def source(self, ledger: Ledger, folder: Path) -> SourceFolder:
        """Return a folder that photos are taken from."""
        number = ledger.folders.given(folder, self.output)
        policy = self.settings.policy
        where = Folder.model_construct(watch=folder, publish=self.output, policy="", settle_seconds=0.0)
        return SourceFolder(number, where, policy, policy.digest(), watched=False)


@dataclass(slots=True)
class ResultPrinter:
    """What became of the photos so far, and how it is said."""

    quiet: bool
    full: bool  # with the table of each
    surrogates: bool
    done: list[Done] = field(default_factory=list)

    def add(self, done: Done, bar: Bar | None = None) -> None:
        """Note what became of a photo, and say it, unless it was done before."""
        self.done.append(done)
        if not self.quiet and not (done.before and done.status == "published"):
            with bar.aside() if bar is not None else nullcontext():
                say(done, self.surrogates, self.full)


class EarlierRuns:
    """What earlier commands did, and whether it would come out the same today."""

    def __init__(self, ledger: Ledger, engine: LoadedEngine, again: bool) -> None:
        """Nothing counts where a person wants all done `again`."""
        self._ledger, self._engine, self._again = ledger, engine, again

    def passes_over(self, task: PhotoTask, printer: ResultPrinter) -> bool:
        """Return whether a photo needs nothing; what became of it then is noted in `printer`."""
        source, found = task.source, task.found
        job = self._ledger.done(source.number, found.relative, source_of(found), source.digest)
        if job is None or job.policy != source.digest or not self._stands(job):
            return False
        printer.add(replace(done_before(source, job), name=task.name))
        return True

    def renewed(self, job: Job, _place: SourceFolder) -> Job:
        """Queue what was done before, unless it would come out the same. Raises TransitionError."""
        if job.state is State.QUEUED or job.state in IN_WORK or self._stands(job):
            return job
        return self._ledger.renew(job)

    @cached_property
    def _models(self) -> str:
        return made_with(self._engine.roster)

    def _stands(self, job: Job) -> bool:
        """Return whether what became of a photo holds: by the same models, and the copy is where it was published."""
        if self._again or job.state not in SETTLED or job.state is State.QUARANTINED:
            return False
        if job.made_with not in (None, made_for(job, self._models)):
            return False
        if job.state is not State.PUBLISHED or job.published is None:
            return True
        _, output = self._ledger.folders.paths(job.folder)
        return job.placed is not None and state_of(output / job.published) == job.placed


def cloak_photos(
    settings: Settings,
    photos: Sequence[Path],
    output: Path,
    surrogates: bool,
    as_json: bool,
    verbose: bool = False,
    again: bool = False,
) -> int:
    """Cloak `photos`, files or folders, into the folder `output` and return the exit status.

    `verbose`: say first what it is done with. `again`: also what was done before.

    Raises:
        PublishError: `output` cannot be made. SettingsError: it is one of the folders. LedgerError, FolderError:
        uncnn's own folders cannot be used. RequestError, ProcessDied: the models are not there or do not load.
    """
    try:
        make_durable(output)
    except OSError as error:
        raise PublishError.of(error, output, "made") from error
    sweep(output)
    way_into(output)  # which says what keeps files from it before a photo is cloaked
    request, began = Request(settings, output.resolve()), time.monotonic()
    at = settings.models, settings.device, settings.servers, settings.service
    with Ledger(ledger_file()) as ledger, at_work(ledger), work(*at) as (engine, spool):
        found = list(_named(request, ledger, photos))
        tasks = [each for each in found if isinstance(each, PhotoTask)]
        printer = ResultPrinter(as_json, verbose or surrogates or len(tasks) <= FULL, surrogates)
        for each in found:
            if isinstance(each, Done):
                printer.add(each)
        earlier = EarlierRuns(ledger, engine, again)
        todo = [each for each in tasks if not earlier.passes_over(each, printer)]
        todo.sort(key=lambda each: is_video_name(each.found.relative.name))  # minutes each: no photo waits for them
        with progress_bar(len(todo), as_json) as bar, ClipProtector(settings.device) as clips:
            start = _starter(engine, bar, verbose)
            context = JobContext(
                ledger, engine, spool, bar.report, start, renew=earlier.renewed, clips=clips, anew=again
            )
            _work(context, todo, printer, bar)
        protection = engine.protection
    if as_json:
        photos_json = [done_json(each) for each in printer.done]
        print_json({"photos": photos_json, "counts": asdict(counts_of(printer.done)), "protection": asdict(protection)})
    else:
        say_counts(printer.done)
        say_summary(printer.done, time.monotonic() - began)
    return exit_status(printer.done)


def _work(context: JobContext, todo: Sequence[PhotoTask], printer: ResultPrinter, bar: Bar) -> None:
    """Take the photos down their path, one after another; a fault of the machine ends it."""
    for number, task in enumerate(todo):
        bar.begin(task.name)
        try:
            done = take(context, task.source, task.found, lambda _: False)
        except FolderBlocked as error:
            printer.add(Done(task.name, "error", str(error)), bar)
            for left in todo[number + 1 :]:
                printer.add(Done(left.name, "error", f"{left.name} was not started: {error}"), bar)
            return
        printer.add(replace(done, name=task.name), bar)


def _named(request: Request, ledger: Ledger, photos: Sequence[Path]) -> Iterator[PhotoTask | Done]:
    """Yield each photo that a person named, or that lies in a folder that they named, once.

    Raises SettingsError: the output is one of the folders.
    """
    seen: set[Path] = set()
    for photo in photos:
        name = printable(photo)
        try:
            real = photo.resolve()
            is_folder = real.is_dir()
            found = [] if is_folder else [(real.parent, _found(real), name)]
        except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError
            error = error if isinstance(error, OSError) else OSError(errno.ELOOP, str(error))
            yield Done(name, "error", str(PublishError.of(error, photo, "read")))
            continue
        if is_folder:
            found = list(_in_folder(request, real, photo))
            if not found:
                yield Done(name, "error", f"there are no photos in the folder {name}: name another folder")
        source = request.source(ledger, real if is_folder else real.parent) if found else None
        for folder, each, own in found:
            if folder / each.relative in seen or source is None:
                continue
            seen.add(folder / each.relative)
            yield PhotoTask(source, each, own) if each.refused is None else Done(own, "error", f"{own}: {each.refused}")


def _in_folder(request: Request, real: Path, named: Path) -> Iterator[tuple[Path, Found, str]]:
    """Yield the photos and videos in a folder and below it, but nothing of the output. Raises SettingsError."""
    if real == request.output:
        raise SettingsError(
            f"--output {printable(request.output)} is the folder of the photos itself: name another folder"
        )
    try:
        for found in candidates(real, videos=request.settings.policy.videos == "cloak"):
            if not (real / found.relative).is_relative_to(request.output):
                yield real, found, printable(named / found.relative)
    except ScanError as error:
        raise PublishError("permission", str(error)) from error


def _found(real: Path) -> Found:
    """Return a file that a person named, whatever it is: the snapshot refuses what is no photo. Raises OSError."""
    found = real.stat()
    times = found.st_mtime_ns, found.st_ctime_ns
    return Found(Path(real.name), found.st_size, *times, found.st_dev, found.st_ino)


@contextmanager
def at_work(ledger: Ledger) -> Iterator[None]:
    """Say that a command is at work; the first one takes up what others left that were killed.

    Raises LedgerError, FolderError.
    """
    opened = os.open(state_dir() / "cloak.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with suppress(BlockingIOError):  # another one is at work
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            recover(ledger, given=True)
        fcntl.flock(opened, fcntl.LOCK_SH)
        yield
    finally:
        os.close(opened)


def _starter(engine: EitherEngine, bar: Bar, verbose: bool) -> Callable[[], None]:
    """Return what loads the models when it is called first."""

    def start() -> None:
        if engine.started:
            return
        bar.report(Stage(LOADING))
        device = engine.start()
        if verbose:
            with bar.aside():
                sys.stderr.write(f"device: {device}, processes of {engine.whose}; {engine.protection.words}\n")

    return start
