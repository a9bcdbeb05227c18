"""`models pull`: what is asked for, the bars while it comes, and what became of each model."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from uncnn.daemon.files.folders import FolderError, data_dir
from uncnn.daemon.output import ERROR, OK, print_json
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.settings import SettingsError
from uncnn.daemon.terminal.results import say_line
from uncnn.daemon.text import printable, system_words
from uncnn.exporters.pulling.download import News, Origin, Report
from uncnn.exporters.pulling.pull import Pulled, State, Wish, pull
from uncnn.exporters.registry.catalog import Catalog, Entry, read_catalog

PACKS = ("small", "strong", "all")
_COLOURS: dict[State, str] = {"installed": "green", "present": "green", "refused": "yellow", "failed": "red"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What `models pull` was asked for."""

    names: tuple[str, ...]
    pack: str | None
    mirror: str | None
    folder: Path | None
    force: bool

    def entries(self, catalog: Catalog) -> list[Entry]:
        """Return the models that are meant.

        Raises:
            SettingsError: the options do not fit together. CatalogError: there is no such model.
        """
        if (self.pack is None) == (not self.names):
            raise SettingsError(
                "name the models (uncnn-daemon models list lists them), or give --pack small, strong or all"
            )
        if self.names:
            return catalog.named(self.names)
        if self.pack not in PACKS:
            raise SettingsError(f"--pack {self.pack}: choose one of {', '.join(PACKS)}")
        return catalog.pack(self.pack)  # type: ignore[arg-type] # it is one of them

    def origin(self) -> Origin:
        """Return where files are taken from. Raises SettingsError: from two places, or from no folder."""
        if self.folder is not None and not self.folder.is_dir():
            raise SettingsError(f"--from {printable(self.folder)}: there is no such folder")
        return Origin(None if self.folder else self.mirror, self.folder)


def pull_models(asked: Asked, licences: tuple[str, ...], as_json: bool) -> int:
    """Pull models and return the exit status: 1 where one failed, or one that was named is refused.

    Raises:
        SettingsError, CatalogError: what is asked for cannot be. FolderError, DownloadError: nothing could be begun.
    """
    entries, wish = asked.entries(read_catalog()), Wish(licences, asked.origin(), asked.force)
    done: list[Pulled] = []
    with stopped_by_sigterm(), _reporter(as_json) as report:
        data = data_dir()
        try:
            for pulled in pull(entries, data, wish, report):
                done.append(pulled)
                if not as_json:
                    place = f" -> {printable(pulled.place)}" if pulled.place else ""
                    say_line(pulled.name, pulled.state, f"{place}: {pulled.message}", _COLOURS[pulled.state])
        except OSError as error:
            raise FolderError(
                f"{printable(error.filename or data)} cannot be used: {system_words(error)[1]}"
            ) from error
    if as_json:
        print_json({"models": [_as_json(pulled) for pulled in done]})
    elif len(done) > 1:
        sys.stdout.write(_summary(done) + "\n")
    return _exit_status(done, bool(asked.names))


def _exit_status(done: Sequence[Pulled], named: bool) -> int:
    """Return 1 where one failed, where a named one is refused, or where nothing of a pack is left."""
    states = {pulled.state for pulled in done}
    refused = "refused" in states and (named or states == {"refused"})
    return ERROR if "failed" in states or refused else OK


def _summary(done: Sequence[Pulled]) -> str:
    counts = Counter(pulled.state for pulled in done)
    words = {"present": "already there"}
    parts = [f"{counts[state]} {words.get(state, state)}" for state in _COLOURS if counts[state]]
    for state in ("refused", "failed"):
        names = ", ".join(pulled.name for pulled in done if pulled.state == state)
        parts = [f"{part} ({names})" if part.endswith(state) else part for part in parts]
    return f"{len(done)} models: {'; '.join(parts)}"


def _as_json(pulled: Pulled) -> dict[str, str | None]:
    place = str(pulled.place) if pulled.place else None
    return {"name": pulled.name, "status": pulled.state, "message": pulled.message, "installed": place}


@contextmanager
def _reporter(quiet: bool) -> Iterator[Report]:
    """Yield what is told how far files are: bars on a terminal, else a line for each thing that happens, or nothing."""
    console = Console(stderr=True)
    if quiet:
        yield lambda _news: None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bars(progress)
    else:
        yield _Lines()


class _Bars:
    """A bar for each file."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._lock = Lock()

    def __call__(self, news: News) -> None:
        """Move the bar of a file, and say what happened above all bars."""
        if news.note:
            self._progress.console.print(f"{escape(news.file)}: {escape(news.note)}", highlight=False, soft_wrap=True)
        if news.total is None and news.size == 0:
            return
        with self._lock:
            if news.file not in self._tasks:
                self._tasks[news.file] = self._progress.add_task(escape(news.file), total=news.total)
        task = self._tasks[news.file]
        done = news.total is not None and news.size >= news.total
        self._progress.update(task, completed=news.size, total=news.total, visible=not done)


class _Lines:
    """A line for each file that begins, and for all that happens to it."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = Lock()

    def __call__(self, news: News) -> None:
        """Write a line where there is something new."""
        with self._lock:
            new = news.file not in self._seen
            self._seen.add(news.file)
        if news.note:
            sys.stderr.write(f"{news.file}: {news.note}\n")
        elif new:
            size = f"{news.total / 1e6:.1f} MB" if news.total else "of unknown size"
            sys.stderr.write(f"{news.file}: downloading, {size}\n")
