"""What a command shows on the terminal: a bar while photos are worked on, and some lines for each that is done."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from uncnn.daemon import answers
from uncnn.daemon.answers import DEGRADED, ERROR, OK, UNCERTAIN
from uncnn.daemon.counts import Counts
from uncnn.daemon.ledger.doubts import NO_DOUBTS, Doubts
from uncnn.daemon.pipeline import Outcome
from uncnn.daemon.processes import Message
from uncnn.daemon.tables import verdict_json, verdict_lines
from uncnn.daemon.wording import printable

Status: TypeAlias = Literal["published", "held", "skipped", "waiting", "error"]

_COLOURS: Final[dict[Status, str]] = {
    "published": "green",
    "held": "yellow",
    "skipped": "yellow",
    "waiting": "yellow",
    "error": "red",
}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one photo of a command."""

    name: str
    status: Status
    message: str
    published: Path | None = None
    outcome: Outcome | None = None
    taken: bool = True  # whether the ledger knows of it, or will
    suspect: bool = False  # neither the photo nor the machine failed: the attack, a model or a process did
    doubts: Doubts = NO_DOUBTS  # of a photo that was published

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        answer: dict[str, Any] = {
            "photo": self.name,
            "status": self.status,
            "message": self.message,
            "published": str(self.published) if self.published else None,
        }
        if self.outcome is not None:
            answer["seconds"] = round(self.outcome.seconds, 3)
            answer["faces"] = self.outcome.faces
            answer["uncertain"] = self.outcome.uncertain
            answer["left_uncertain"] = self.outcome.left_uncertain
            answer["notes"] = list(self.outcome.notes)
            answer["verdict"] = verdict_json(self.outcome.verdict, self.outcome.strengths)
        return answer


class Bar:
    """The progress of a command on the terminal, on standard error: silent where that is no terminal."""

    def __init__(self, progress: Progress, photos: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=photos, stage="loading the models")
        self._photos = photos
        self._begun = 0

    def begin(self, name: str) -> None:
        """Go on to the next photo."""
        self._begun += 1
        title = f"{self._begun}/{self._photos} {escape(Path(name).name)}"
        self._progress.update(self._task, completed=self._begun - 1, description=title, stage="")

    def report(self, progress: Message) -> None:
        """Show the stage that the photo is in."""
        share = progress["done"] / max(progress["of"], 1) if "of" in progress else 0.0
        detail = f" {share:.0%}" if "of" in progress else ""
        self._progress.update(self._task, completed=self._begun - 1 + 0.9 * share, stage=progress["stage"] + detail)


@contextmanager
def progress_bar(photos: int, quiet: bool) -> Iterator[Bar]:
    """Yield a progress bar over `photos` photos."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[stage]}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        yield Bar(progress, photos)


def say(done: Done, surrogates: bool = False) -> None:
    """Print what became of a photo, with what each recogniser said."""
    where = f" -> {printable(done.published)}" if done.published else ""
    say_line(done.name, done.status, f"{where}: {done.message}", _COLOURS[done.status])
    if done.outcome is None:
        return
    console = Console()
    for note in done.outcome.notes:
        console.print(f"  note: {escape(note)}", soft_wrap=True, highlight=False)
    for line in verdict_lines(done.outcome.verdict, done.outcome.strengths, surrogates):
        console.print(line, soft_wrap=True, highlight=False)


def say_line(name: str, state: str, message: str, colour: str) -> None:
    """Print what is the matter with one thing, in a line; with --quiet only what is not well, to standard error."""
    if answers.quiet and colour != "green":
        sys.stderr.write(f"{printable(name)}: {state}{message}\n")
    line = f"[bold]{escape(printable(name))}[/bold]: [{colour}]{state}[/{colour}]{escape(message)}"
    Console().print(line, soft_wrap=True, highlight=False)


def exit_status(done: Sequence[Done]) -> int:
    """Return 1 where a photo failed, 4 where one was held, 6 where one holds a face in doubt as it was, 0 otherwise."""
    found = {each.status for each in done}
    if "error" in found or "held" in found:
        return ERROR if "error" in found else DEGRADED
    return UNCERTAIN if counts_of(done).left_in_doubt else OK


def counts_of(done: Iterable[Done]) -> Counts:
    """Return how many photos were released without a face, or hold something in doubt."""
    return Counts.of(each.outcome for each in done if each.outcome is not None)


def say_counts(done: Iterable[Done]) -> None:
    """Print those counts that are not 0, a line each."""
    for words in counts_of(done).words():
        Console().print(words, soft_wrap=True, highlight=False)
