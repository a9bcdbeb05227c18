"""The bar of a command that works on photos: how far it is, within a photo too, and how long it takes yet.

It stands on standard error, where that is a terminal, and makes way for what is printed meanwhile. Elsewhere, as in a
log, a command that says nothing of its photos one by one has a line a minute instead.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.table import Column

from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.text import duration, printable

WIDE: Final = 76
"""Columns from which on the photo's name and its stage have room beside the bar."""

LOOKING: Final = 0.05  # the share of a photo that is over when its faces are found
CLIMB: Final = 0.6  # of what is left of a photo, what one strength takes: most need no other
CLOAKING: Final = 0.8  # of a strength, until the copy is judged
LOGGED_EVERY: Final = 60.0  # seconds, where there is no terminal
TELLING: Final = 0.15  # of a photo must be over before it says how long the first one takes


@dataclass(slots=True)
class Within:
    """How much of one photo is over: it never goes back, however often the photo is cloaked more strongly."""

    share: float = 0.0
    floor: float = LOOKING  # where the present strength began
    checked: bool = False  # at that strength

    def note(self, stage: Stage) -> float:
        """Return the share that is over, 0..1, as the photo reports its progress."""
        if stage.of:
            if self.checked:
                self.floor, self.checked = self._after(), False
            part = stage.done / stage.of
            self._reach(self.floor + CLOAKING * part * (self._after() - self.floor))
        elif stage.name == "checking":
            self.checked = True
            self._reach(self.floor + CLOAKING * (self._after() - self.floor))
        return self.share

    def _after(self) -> float:
        return self.floor + CLIMB * (1 - self.floor)

    def _reach(self, share: float) -> None:
        self.share = max(self.share, min(share, 1.0))


@dataclass(slots=True)
class Pace:
    """How long the photos of a command take, and so how long it takes yet."""

    photos: int
    clock: Callable[[], float] = time.monotonic
    taken: list[float] = field(default_factory=list)  # seconds, of each photo that is over
    began: float | None = None  # of the present one

    def next(self) -> None:
        """Go on to the next photo."""
        now = self.clock()
        if self.began is not None:
            self.taken.append(now - self.began)
        self.began = now

    def left(self, share: float) -> float | None:
        """Return how many seconds it takes yet, `share` of the present photo being over; None: too early to say."""
        if self.began is None:
            return None
        elapsed, waiting = self.clock() - self.began, self.photos - len(self.taken) - 1
        if self.taken:
            each = sum(self.taken) / len(self.taken)
            return max(each - elapsed, each * (1 - share) / 2, 0.0) + waiting * each
        return None if share < TELLING else elapsed / share * (1 - share + waiting)


class Bar:
    """The progress of a command on standard error: a line that moves, or one a minute in `log`, or nothing."""

    def __init__(
        self, progress: Progress, photos: int, log: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._progress = progress
        self._log, self._clock, self._logged = log, clock, clock()
        self._task = progress.add_task("", total=photos, number="", name="", stage="loading the models", left="")
        self._photos = photos
        self._begun = 0
        self._within = Within()
        self._pace = Pace(photos, clock)

    def begin(self, name: str) -> None:
        """Go on to the next photo."""
        self._begun += 1
        self._within = Within()
        self._pace.next()
        self._show(number=f"{self._begun}/{self._photos}", name=printable(Path(name).name), stage="")

    def report(self, stage: Stage) -> None:
        """Show the stage that the photo is in."""
        self._within.note(stage)
        self._show(stage=stage.name)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while something is printed, so that nothing is glued to it."""
        if self._progress.disable or not self._progress.live.is_started:
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            sys.stdout.flush()
            self._progress.start()

    def _show(self, **said: Any) -> None:
        left = self._pace.left(self._within.share)
        said["left"] = "" if left is None else f"{duration(_rounded(left))} left"
        self._progress.update(self._task, completed=max(self._begun - 1, 0) + self._within.share, **said)
        if self._log is not None and self._clock() - self._logged >= LOGGED_EVERY:
            self._logged = self._clock()
            words = ", ".join(filter(None, [f"photo {self._begun} of {self._photos}", said["left"]]))
            self._log.print(words, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(
    photos: int,
    quiet: bool,
    console: Console | None = None,
    logged: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Bar]:
    """Yield a progress bar over `photos` photos; `logged`: where there is no terminal, a line a minute."""
    console = console or Console(stderr=True)
    hidden = quiet or not console.is_terminal
    with Progress(*_columns(console.width), console=console, transient=True, disable=hidden) as progress:
        yield Bar(progress, photos, console if logged and hidden and not quiet else None, clock)


def _columns(width: int) -> list[ProgressColumn]:
    """Return what stands in the line, so that it fits: a narrow terminal shows no name and no stage."""
    number, share, left = _text("number", 9), TextColumn("{task.percentage:>3.0f} %"), _text("left", 16)
    if width < WIDE:
        return [number, BarColumn(max(min(width - 32, 20), 4)), share, left]
    return [number, _text("name", 16), BarColumn(14), share, _text("stage", 18), left]


def _text(name: str, width: int) -> TextColumn:
    column = Column(no_wrap=True, overflow="ellipsis", max_width=width)
    return TextColumn(f"{{task.fields[{name}]}}", markup=False, table_column=column)


def _rounded(seconds: float) -> float:
    """Return an estimate no finer than it is known: to 5 s below a minute, to 10 s below ten, to a minute above."""
    step = 5 if seconds < 60 else 10 if seconds < 600 else 60
    return max(round(seconds / step) * step, step)
