"""`run`: the loop of the service looks, keeps house and answers signals; the worker thread does the work."""

from __future__ import annotations

import sys
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from uncnn.daemon.audit.last import read_last
from uncnn.daemon.config import Config, ConfigError, Folder, find_config, load
from uncnn.daemon.control.messages import FolderScan
from uncnn.daemon.control.reception import Reception
from uncnn.daemon.files.folders import FolderError, ledger_file, state_dir
from uncnn.daemon.files.workspace import only_run, sweep_workspaces
from uncnn.daemon.jobs.recovery import prune_kept
from uncnn.daemon.ledger import Ledger, LedgerError, Run
from uncnn.daemon.ledger.rows import utc_now
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.daemon.ledger.view import view
from uncnn.daemon.notice.desktop import Desktop
from uncnn.daemon.notice.elsewhere import Elsewhere
from uncnn.daemon.notice.notice import NAMED
from uncnn.daemon.output import ERROR, OK
from uncnn.daemon.protect.process_engine import PREPARE_SECONDS, ProcessEngine
from uncnn.daemon.service.folder_supervisor import FolderSupervisor, say, say_unless_quiet
from uncnn.daemon.service.notify import notify, watchdog_seconds
from uncnn.daemon.service.requests import LoopRequests
from uncnn.daemon.service.wakeup import Wakeup
from uncnn.daemon.service.worker_thread import Finished
from uncnn.daemon.service.workers import Workers
from uncnn.daemon.text import printable, system_words
from uncnn.daemon.watch.backlog import source_folders
from uncnn.daemon.watch.folder import WatchedFolder
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

MAINTENANCE_SECONDS: Final = 10.0
"""Between two rounds of maintenance: health, retries, the heartbeat."""

PRUNE_SECONDS: Final = 3600.0
"""Between two looks for copies of held photos that are kept no longer."""

STOP_SECONDS: Final = 8.0
"""For what is being done to be given back."""


class ThreadEnded(UncnnError):
    """A thread that works on photos has ended: whoever started the service starts it again."""


class Service:
    """The supervisor. It never imports torch."""

    def __init__(self, file: Path, config: Config, ledger: Ledger, run: Run) -> None:
        self._file = file
        self._config = config
        self._ledger = ledger
        self._run = run
        self._wakeup = Wakeup()
        self._worker = Workers(config, self._wakeup.ring, self._works_with)
        self._served: dict[Path, FolderSupervisor] = {}
        self._problem = ""  # of the configuration
        self._requests = LoopRequests(self._wakeup)
        self._scans: list[Future[list[FolderScan]]] = []  # of commands that wait until the folders were scanned
        self._maintained: float | None = None  # when that was last done
        self._pruned = time.monotonic()  # when old copies of held photos were last removed
        self._ready = False
        self._said = ""
        self._canaries: tuple[CanaryAnswers, ...] = ()  # as the ledger has them
        self._servers: tuple[ServerState, ...] = ()
        self._reported = ""  # of what is being done, to the ledger
        self._desktop = Desktop()
        self._elsewhere = Elsewhere(state_dir())

    def serve(self) -> int:
        """Serve until a signal ends it, and return the exit status."""
        with self._wakeup.listening():
            self._worker.start()
            reception = self._received()
            try:
                self._go_by(self._config)
                _greet(self._file, self._config)
                while "stop" not in (asked := self._wakeup.asked()):
                    self._answer(asked)
                    self._turn()
                    self._wakeup.wait(self._idle_seconds())
            finally:
                notify(STOPPING="1")
                for served in self._served.values():
                    served.close()
                if reception is not None:
                    reception.close()
                ended = self._worker.stop(STOP_SECONDS)
                self._collect()
        return OK if ended else ERROR

    def _received(self) -> Reception | None:
        """Open the control socket; without one the commands load models of their own."""
        try:
            return Reception(self._worker.engine, self._requests)
        except (OSError, FolderError) as error:
            say(f"there is no control socket, so that commands load models of their own: {error}")
            return None

    def _turn(self) -> None:
        """Do what there is to do now."""
        now = time.monotonic()
        if not self._worker.alive:
            raise ThreadEnded("a thread that works on photos has ended, a fault of uncnn's; what is above says why")
        try:
            self._collect()
            if self._maintained is None or now - self._maintained >= self._maintenance_seconds():
                self._maintain(now)
            if self._worker.doing != self._reported:
                self._report()
            for served in self._served.values():
                served.advance(now)
            for future in self._scans:
                future.set_result([served.last_scan for served in self._served.values()])
            self._scans = []
        except LedgerError as error:  # locked, or its disk is full: nothing is lost, it is tried again
            say(str(error))
            self._wakeup.wait(1.0)
            return
        if not self._ready:
            self._ready = True
            notify(READY="1", STATUS=f"watching {len(self._served)} folders")

    def _answer(self, asked: set[str]) -> None:
        now = time.monotonic()
        if "reload" in asked:
            notify(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))
            asking = self._requests.taken("reload")
            self._reload()
            for future in asking:
                future.set_result(self._problem)
            notify(READY="1")
        if "scan" in asked:
            self._scans += self._requests.taken("scan")
            self._worker.go_by(self._config)
            for served in self._served.values():
                served.ask_for_scan(now)

    def _reload(self) -> None:
        """Go by the configuration as it is now; one that is wrong is said, and the old one kept."""
        try:
            config = load(self._file)
            self._go_by(config)
        except (ConfigError, LedgerError) as error:
            self._problem = f"the configuration was not reloaded: {error}"
            say(self._problem)
        else:
            self._problem = ""
            say(f"reloaded {self._file}")
        self._maintained = None

    def _go_by(self, config: Config) -> None:
        """Watch the folders of a configuration; those that stay under the same policy are not disturbed.

        Raises LedgerError; all is as before then.
        """
        sources = source_folders(config, self._ledger)
        before, self._served, self._config = self._served, {}, config
        for source in sources:
            watch = source.folder.watch
            same = before.get(watch)
            if same is not None and same.source == source:
                self._served[watch] = before.pop(watch)
        for gone in before.values():
            gone.close()
        for source in sources:
            if source.folder.watch not in self._served:
                watched = WatchedFolder(source.folder.watch, source.folder.settle_seconds, self._wakeup.ring)
                self._served[source.folder.watch] = FolderSupervisor(source, watched, self._ledger, self._worker)
                say_unless_quiet(f"watching {printable(source.folder.watch)}: {_words(source.folder)}")
        self._worker.go_by(config)

    def _maintain(self, now: float) -> None:
        """See that all is well, take up what is due again, and give a sign of life."""
        for served in self._served.values():
            served.check(now)
        for job in self._ledger.wake(utc_now(), blocked=False):
            for served in self._served.values():
                if served.source.number == job.folder:
                    served.look_again(job.relative, now)
        for served in self._served.values():
            served.report(now)
        problem = self._report()
        self._maintained = now
        if now - self._pruned >= PRUNE_SECONDS:
            self._pruned = now
            with suppress(FolderError):  # whoever releases or holds a photo says it
                prune_kept(self._ledger)
        self._notify()
        if self._worker.alive and not self._overdue(now):
            notify(WATCHDOG="1", STATUS=problem or self._worker.doing or "waiting for photos")

    def _report(self) -> str:
        """Write down what is being done, as a sign of life too; return what keeps all photos from being done."""
        problem = self._problem or self._worker.problem
        totals, self._reported = self._worker.totals, self._worker.doing
        self._run.report(problem, self._reported, totals.published, totals.faces, totals.busy_seconds)
        canaries = self._worker.engine.canaries
        if canaries != self._canaries:
            self._run.canaries_said(canaries)
            self._canaries = canaries
        servers = self._worker.engine.servers_seen
        if servers != self._servers:
            self._run.servers_seen(servers)
            for problem_of in {each.problem for each in servers} - {each.problem for each in self._servers} - {""}:
                say(f"a server was of no use when it was last asked: {problem_of}")
            self._servers = servers
        return problem

    def _notify(self) -> None:
        """Tell a person what is new, and write the measures, as the configuration asks."""
        wanted = self._config.service
        if wanted.metrics is None and wanted.apprise is None and not wanted.notify:
            return
        found = view(ledger_file(), concerns=NAMED)
        if found is None:
            return
        if wanted.notify:
            self._desktop.tell(found)
        if wanted.apprise is not None:
            try:
                self._elsewhere.tell(found, wanted.notify_names, self._file)
            except OSError as error:
                self._say_once(f"messages cannot be sent: {system_words(error)[1]}")
        if wanted.metrics is not None:
            from uncnn.daemon.service.metrics import write_metrics

            try:
                write_metrics(wanted.metrics, found, read_last(state_dir()))
            except OSError as error:
                self._say_once(
                    f"the metrics cannot be written to {printable(wanted.metrics)}: {system_words(error)[1]}"
                )

    def _say_once(self, line: str) -> None:
        if line != self._said:
            self._said = line
            say(line)

    def _overdue(self, now: float) -> bool:
        """Return whether a photo takes longer than its deadline allows by far: the worker thread itself hangs then."""
        began, loading = self._worker.began, 2 * PREPARE_SECONDS  # models are exported, then loaded
        return began is not None and now - began > loading + 4 * self._config.service.deadline_seconds

    def _collect(self) -> None:
        """Say what was finished, and see to what was not."""
        now = time.monotonic()
        for finished in self._worker.finished():
            self._settle(finished, now)

    def _settle(self, finished: Finished, now: float) -> None:
        served = self._served.get(finished.task.source.folder.watch)
        if finished.done is None:
            if served is not None:
                served.block_for_photo(finished.blocked, now)
            return
        if served is not None:
            served.went_well()
        done = finished.done
        where = f" -> {done.published}" if done.published else ""
        tell = say_unless_quiet if done.status == "published" else say
        tell(f"{done.name}: {done.status}{where}: {done.message}")
        if served is None:
            return
        served.read(finished.task.found.relative, "" if done.taken else done.message)
        if done.status == "waiting":
            served.look_again(finished.task.found.relative, now)

    def _idle_seconds(self) -> float:
        """Return how long there is nothing to do."""
        now = time.monotonic()
        times = [due for served in self._served.values() if (due := served.next_due()) is not None]
        times.append((self._maintained if self._maintained is not None else now) + self._maintenance_seconds())
        return min(times) - now

    def _maintenance_seconds(self) -> float:
        wanted = watchdog_seconds()
        return MAINTENANCE_SECONDS if wanted is None else min(MAINTENANCE_SECONDS, wanted / 3)

    def _works_with(self, device: str, engine: ProcessEngine) -> None:
        """Note the models; called by the worker thread."""
        roster = engine.roster
        surrogates, judges = ([model.card.name for model in models] for models in (roster.surrogates, roster.judges))
        self._run.works_with(device, surrogates, judges, engine.providers, engine.protection)
        say_unless_quiet(f"models loaded on {device}: attacked {', '.join(surrogates)}; judges {', '.join(judges)}")


def _words(folder: Folder) -> str:
    return f"cloaked copies go to {printable(folder.publish)}, under policy {folder.policy}"


def _greet(file: Path, config: Config) -> None:
    """Say what a person who starts it by hand wants to know: what is passed over, and how it ends."""
    if not config.folders:
        say(f"no folder is watched: add folders to {printable(file)}, then run uncnn-daemon reload")
    say_unless_quiet(
        "ignored: hidden and unfinished files (*.part, *.crdownload, ...), and files that are neither photos nor videos"
    )
    if sys.stderr.isatty():
        say_unless_quiet("stop with Ctrl-C; originals are never changed; uncnn-daemon status shows the state")


def run_service(explicit: Path | None) -> int:
    """Watch and cloak until a signal ends it, and return the exit status.

    Raises:
        ConfigError: the configuration is wrong. RunningError: another run is at work. LedgerError, FolderError: uncnn's
        own folders cannot be used. RemovedError: only another start sees a folder anew.
    """
    file = find_config(explicit)
    config = load(file)
    with only_run(), Ledger(ledger_file()) as ledger:
        sweep_workspaces()
        run = Run(ledger_file(), "service")
        try:
            run.exit_status = Service(file, config, ledger, run).serve()
        finally:
            run.end()
    return run.exit_status
