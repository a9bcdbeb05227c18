"""What a command says on the terminal: some lines for each photo that is done, and a summary."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from uncnn.daemon import output
from uncnn.daemon.jobs.result import Done, Status
from uncnn.daemon.output import DEGRADED, ERROR, OK, UNCERTAIN
from uncnn.daemon.terminal.counts import Counts
from uncnn.daemon.terminal.verdict_table import USUAL, verdict_lines
from uncnn.daemon.text import duration, printable
from uncnn.daemon.verify.figures import verdict_json
from uncnn.daemon.verify.statement import without_details

_COLOURS: Final[dict[Status, str]] = {
    "published": "green",
    "held": "yellow",
    "skipped": "yellow",
    "waiting": "yellow",
    "error": "red",
}


NAMED: Final = 8
"""So many held photos are named by their numbers."""

_COUNTED: Final = {
    "published": "published",
    "held": "held",
    "skipped": "skipped",
    "waiting": "waiting",
    "error": "failed",
    "done before": "done before",
}


def done_json(done: Done) -> dict[str, Any]:
    """Return what became of a photo as JSON values."""
    answer: dict[str, Any] = {
        "photo": done.name,
        "status": done.status,
        "message": done.message,
        "published": str(done.published) if done.published else None,
        "number": done.number,
        "done_before": done.before,
    }
    if done.outcome is not None:
        answer["seconds"] = round(done.outcome.seconds, 3)
        answer["faces"] = done.outcome.faces
        answer["uncertain"] = done.outcome.uncertain
        answer["left_uncertain"] = done.outcome.left_uncertain
        answer["notes"] = list(done.outcome.notes)
        answer["verdict"] = verdict_json(done.outcome.verdict, done.outcome.strengths)
    return answer


def say(done: Done, surrogates: bool = False, full: bool = True) -> None:
    """Print what became of a photo; `full`: with what each recogniser said."""
    where = f" -> {printable(done.published)}" if done.published else ""
    number = f" {done.number}" if done.status == "held" and done.number is not None else ""
    message = done.message.removeprefix(f"{done.name}: ")
    if done.outcome is not None and full:
        message = without_details(message, done.outcome.verdict)
    say_line(done.name, f"{done.status}{number}", f"{where}: {message}", _COLOURS[done.status])
    if done.outcome is None or not full:
        return
    console = Console()
    for note in done.outcome.notes:
        say_words(f"  note: {escape(note)}")
    for line in verdict_lines(done.outcome.verdict, done.outcome.strengths, surrogates, width_of(console)):
        console.print(line, soft_wrap=True, highlight=False)


def say_line(name: str, state: str, message: str, colour: str) -> None:
    """Print what is the matter with one thing, in a line; with --quiet only what is not well, to standard error."""
    if output.quiet and colour != "green":
        sys.stderr.write(f"{printable(name)}: {state}{message}\n")
    line = f"[bold]{escape(printable(name))}[/bold]: [{colour}]{state}[/{colour}]{escape(message)}"
    say_words(line)


def say_words(markup: str) -> None:
    """Print a line of words, broken between words on a terminal, whole into a pipe or a file."""
    console = Console()
    console.print(markup, soft_wrap=not console.is_terminal, highlight=False)


def exit_status(done: Sequence[Done]) -> int:
    """Return 1 where a photo failed, 4 where one was held, 6 where one holds a face in doubt as it was, 0 otherwise."""
    found = {each.status for each in done}
    if "error" in found or "held" in found:
        return ERROR if "error" in found else DEGRADED
    return UNCERTAIN if counts_of(done).left_in_doubt else OK


def counts_of(done: Iterable[Done]) -> Counts:
    """Return how many photos were published without a face, or hold something in doubt."""
    return Counts.of(each.outcome for each in done if each.outcome is not None)


def say_counts(done: Iterable[Done]) -> None:
    """Print those counts that are not 0, a line each."""
    for words in counts_of(done).words():
        say_words(words)


def say_summary(done: Sequence[Done], seconds: float) -> None:
    """Print how many photos came to what, where there are several, and what may be done with those that are held."""
    if len(done) > 1:
        say_words(f"{summary_words(done)}; {duration(seconds)}")
    held = [each.number for each in done if each.status == "held" and each.number is not None]
    if not held:
        return
    numbers = " ".join(map(str, held[:NAMED])) + (" ..." if len(held) > NAMED else "")
    say_words(f"held, waiting for your decision: {numbers}")
    for words in (
        f"  uncnn-daemon held show {held[0]}     compare the copy with the original",
        f"  uncnn-daemon held release {held[0]}  publish the copy although it is not protected",
        f"  uncnn-daemon held drop {held[0]}     do not publish it",
    ):
        say_words(words)


def summary_words(done: Iterable[Done]) -> str:
    """Return how many photos came to what."""
    counted = Counter("done before" if each.before and each.status == "published" else each.status for each in done)
    return ", ".join(f"{counted[name]} {word}" for name, word in _COUNTED.items() if counted[name]) or "nothing to do"


def width_of(console: Console) -> int:
    """Return how many columns a line may take; what goes into a pipe or a file may take those of a terminal."""
    return console.width if console.is_terminal else USUAL
