"""The thread that takes photos, or videos, down their path, one after another, and what it does when a plugin fails."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from uncnn.daemon.config import Config
from uncnn.daemon.config.document import ConfigError
from uncnn.daemon.control.shared_engine import SharedEngine
from uncnn.daemon.files.folders import data_dir, ledger_file
from uncnn.daemon.files.publish import PublishError, snapshot
from uncnn.daemon.files.scan import Found
from uncnn.daemon.files.workspace import workspace
from uncnn.daemon.jobs.photo_job import FolderBlocked, JobContext, Stopped, take
from uncnn.daemon.jobs.recovery import recover
from uncnn.daemon.jobs.result import Done
from uncnn.daemon.ledger import Ledger, LedgerError
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Next
from uncnn.daemon.protect.process_engine import LOADING, ProcessEngine
from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.remote.engine import engine_for
from uncnn.daemon.text import printable
from uncnn.daemon.video.protector import ClipProtector
from uncnn.daemon.watch.backlog import SourceFolder
from uncnn.plugins.api import UncnnError

BREAKS_AFTER: Final = 3
"""So many photos in a row on which the plugin or its process failed: it is the plugin then, not the photos."""

BROKEN_SECONDS: Final = 300.0
FOLLOWING: Final = 7
"""So many photos may share the batch of one."""

LONGEST_PAUSE_SECONDS: Final = 60.0

Key = tuple[int, Path]
"""A folder's number and a path below it."""


@dataclass(frozen=True, slots=True)
class Task:
    """A settled photo that is to be done."""

    source: SourceFolder  # with the policy for this photo
    found: Found
    since: float  # monotonic
    base: SourceFolder | None = None  # with the policy of the configuration, to which a `.uncnn.yaml` may add

    def now(self) -> Task:
        """Return it with the policy that holds for it now. Raises ConfigError: a `.uncnn.yaml` is wrong by now."""
        return self if self.base is None else replace(self, source=self.base.at(self.found.relative))

    @property
    def key(self) -> Key:
        """Return what tells photos apart."""
        return self.source.number, self.found.relative


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a task: what was done, or why its folder can do nothing at present."""

    task: Task
    done: Done | None
    blocked: str = ""


@dataclass(slots=True)
class Totals:
    """What was done since the service started."""

    published: int = 0
    faces: int = 0
    busy_seconds: float = 0.0


@dataclass(slots=True)
class _Breaker:
    """Counts the photos in a row on which not the photo failed."""

    failed: set[Key] = field(default_factory=set)
    reason: str = ""

    def note(self, task: Task, done: Done) -> None:
        if done.suspect:
            self.failed.add(task.key)
            self.reason = done.message
        elif done.status != "waiting":
            self.failed.clear()

    def open(self) -> bool:
        return len(self.failed) >= BREAKS_AFTER


class WorkerThread:
    """Takes tasks in the order they came. `ring` is called when one is finished."""

    def __init__(
        self,
        config: Config,
        ring: Callable[[], None],
        engine_started: Callable[[str, ProcessEngine], None],
        clips: ClipProtector | None = None,
    ) -> None:
        """Nothing is begun yet. With `clips` all tasks are videos: the processes for photos are never started then."""
        self.problem = ""  # what keeps all photos from being done
        self.doing = ""  # the photo and its stage
        self.totals = Totals()
        self._began: float | None = None  # monotonic, of the present photo
        self._config = config
        self._ring = ring
        self._lock = threading.Condition()
        self._tasks: OrderedDict[Key, Task] = OrderedDict()
        self._present: Task | None = None
        self._finished: list[Finished] = []
        self._stopping = False
        self._poked = False
        self.engine = SharedEngine(lambda: self._config, _make_engine, engine_started)
        self._clips = clips
        self._breaker = _Breaker()
        self._batched: set[Key] = set()  # photos whose faces were in the batch of one before
        self._thread = threading.Thread(target=self._run, name="uncnn-worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def began(self) -> float | None:
        """Return when the present photo was begun, on the monotonic clock that stands while commands are served."""
        began, waited = self._began, self.engine.waited()
        return None if began is None or waited is None else began + waited

    @property
    def busy(self) -> bool:
        """Return whether something waits or is being done."""
        return self._present is not None or bool(self._tasks)

    @property
    def stopping(self) -> bool:
        """Return whether it is to end."""
        return self._stopping

    @property
    def alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def put(self, task: Task) -> None:
        """Let a photo be done, where it is not waiting for that already."""
        with self._lock:
            self._tasks.setdefault(task.key, task)
            self._lock.notify_all()

    def has(self, number: int, relative: Path) -> bool:
        """Return whether a photo waits or is being done."""
        with self._lock:
            present = self._present is not None and self._present.key == (number, relative)
            return present or (number, relative) in self._tasks

    def waiting(self, number: int) -> list[Task]:
        """Return the tasks of a folder that are not finished, the oldest first."""
        with self._lock:
            present = [self._present] if self._present is not None else []
            return [task for task in (*present, *self._tasks.values()) if task.source.number == number]

    def take_back(self, number: int) -> None:
        """Forget the tasks of a folder that are not begun: it is blocked, or watched no more."""
        with self._lock:
            for key in [key for key in self._tasks if key[0] == number]:
                del self._tasks[key]

    def finished(self) -> list[Finished]:
        """Return what was finished since the last call."""
        with self._lock:
            taken, self._finished = self._finished, []
            return taken

    def go_by(self, config: Config) -> None:
        """Go by this configuration from the next photo on, and try again at once what failed."""
        with self._lock:
            self._config = config
            self._poked = True
            self._lock.notify_all()

    def stop(self, deadline: float) -> bool:
        """End: what is being done is given back. Return whether the thread ended by this time, monotonic."""
        self.ask_to_stop()
        while self._thread.is_alive():
            self.engine.kill()
            if self._clips is not None:
                self._clips.kill()
            self._thread.join(0.2)
            if time.monotonic() >= deadline:  # of another thread too: this one's processes are ended all the same
                break
        return not self._thread.is_alive()

    def ask_to_stop(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._stopping = True
            self._tasks.clear()
            self._lock.notify_all()

    def _run(self) -> None:
        died = True  # whoever worked before
        try:
            while not self._stopping:
                try:
                    with Ledger(ledger_file()) as ledger, workspace() as spool, self.engine.opened(spool):
                        recover(ledger, died, videos=self._clips is not None)
                        died = False
                        self._work(ledger, spool)
                except UncnnError as error:  # of the ledger or the spool
                    self._fail(str(error), 5.0)
        finally:
            if self._clips is not None:
                self._clips.close()
            self._ring()

    def _work(self, ledger: Ledger, spool: Path) -> None:
        while (put := self._next()) is not None:
            task = self._under_its_policy(put)
            if task is None:
                continue
            following = partial(self._following, task, ledger)
            if self._clips is not None:
                self._clips.device = self._config.device
            context = JobContext(
                ledger,
                self.engine,
                spool,
                self._report,
                self._start,
                lambda: self._stopping,
                following,
                clips=self._clips,
            )
            began = self._began = time.monotonic()
            self.doing = task.source.name(task.found.relative)
            try:
                with self.engine.at_photo():
                    finished = Finished(task, take(context, task.source, task.found, lambda _: True))
                self.problem = ""
            except FolderBlocked as error:
                finished = Finished(task, None, str(error))
            except Stopped:
                return
            except LedgerError:
                self._again(task)
                raise
            except (UncnnError, OSError) as error:  # the models are not there or do not load, or no process can start
                self._again(task)
                self.engine.close()
                self._fail(str(error), LONGEST_PAUSE_SECONDS)
                continue
            finally:
                self._count(began)
            if self._clips is not None and not self._tasks:
                self._clips.close()  # a gigabyte, for what comes seldom
            self._note(finished)

    def _under_its_policy(self, task: Task) -> Task | None:
        """Return a task under the policy that holds now; None: that leaves the photo alone, which is noted."""
        try:
            now = task.now()
        except ConfigError as error:
            words = error.line
        else:
            if now.source.can_do(task.found.relative):
                return now
            words = "its policy leaves it alone by now"
        self._note(Finished(task, Done(task.source.name(task.found.relative), "waiting", words)))
        return None

    def _note(self, finished: Finished) -> None:
        """Hand over what was done; wait where the plugin seems to be at fault."""
        with self._lock:
            self._present = None
            self._finished.append(finished)
        self._ring()
        done = finished.done
        if done is None:
            return
        if done.status == "published":
            self.totals.published += 1
            self.totals.faces += sum(face.required for face in done.outcome.verdict.faces) if done.outcome else 0
        self._breaker.note(finished.task, done)
        failed = len(self._breaker.failed)
        if self._breaker.open():
            name = finished.task.source.policy.attack.name
            self._fail(f"attack {name} failed for {failed} photos in a row: {self._breaker.reason}", BROKEN_SECONDS)
        elif done.suspect:
            self._pause(min(2.0**failed, LONGEST_PAUSE_SECONDS))

    def _count(self, began: float) -> None:
        self.totals.busy_seconds += time.monotonic() - began
        self._began, self.doing = None, ""

    def _next(self) -> Task | None:
        """Return the next task when there is one, None at the end."""
        with self._lock:
            self._present = None
            while not self._tasks and not self._stopping:
                self._lock.wait()
            if self._stopping:
                return None
            _, self._present = self._tasks.popitem(last=False)
            return self._present

    def _following(self, task: Task, ledger: Ledger, folder: Path) -> list[Next]:
        """Copy the photos that come next under the same policy into a folder: their faces may share a batch.

        None where they did so already, or where something just failed: each is alone then. A released copy is left out:
        it is not cloaked again.
        """
        if task.key in self._batched or self._breaker.failed:
            return []
        with self._lock:
            waiting = [each for each in self._tasks.values() if each.source == task.source][:FOLLOWING]
        self._batched = {each.key for each in waiting}
        found = []
        for each in waiting:
            with suppress(PublishError):  # its own turn says what is the matter
                taken = snapshot(each.source.folder.watch, each.found.relative, folder)
                if ledger.pictures.original(taken.sha256) is None:
                    found.append(Next(Content(taken.path), printable(each.found.relative.name)))
        return found

    def _again(self, task: Task) -> None:
        with self._lock:
            self._present = None
            if not self._stopping:
                self._tasks[task.key] = task
                self._tasks.move_to_end(task.key, last=False)

    def _fail(self, problem: str, seconds: float) -> None:
        self.problem = problem
        self._ring()
        self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        """Wait, unless it ends or somebody asks to try again."""
        with self._lock:
            self._poked = False
            self._lock.wait_for(lambda: self._stopping or self._poked, seconds)

    def _start(self) -> None:
        if not self.engine.started:
            self._report(Stage(LOADING))
            self._ring()
            self.engine.start()

    def _report(self, stage: Stage) -> None:
        share = f" {stage.done / stage.of:.0%}" if stage.of else ""
        present = self._present
        name = present.source.name(present.found.relative) if present else ""
        self.doing = f"{name}: {stage.name}{share}"


def _make_engine(config: Config, spool: Path) -> ProcessEngine:
    at = config.models, config.device, data_dir(), spool, config.servers
    return engine_for(*at, config.service.deadline_seconds)
