"""Whom recognisers take the faces of a photo for, on a terminal: a list for each, of the copy beside the photo's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from uncnn.daemon.explain.explained import FALSE_NAMES, ExplainedFace, Identification
from uncnn.daemon.explain.words import NONE_OF_THESE, OTHERS, UNEXPECTED, chance_words, classifier_words
from uncnn.daemon.terminal.results import say_words
from uncnn.daemon.text import printable

NAMED: Final = "*"
_EMPTY: Final = ("", "")


def say_explanation(faces: Sequence[ExplainedFace], titles: Sequence[str], notes: Sequence[str]) -> None:
    """Print a table for each face, what has to be known to read them, and what was left out.

    `titles` are the names of the photo and of its copy.
    """
    console = Console()
    for face in faces:
        console.print(face_words(face), markup=False, highlight=False)
        console.print(face_table(face, titles), soft_wrap=True, highlight=False)
    if not faces:
        say_words("no face was found")
    for line in (*explanation_words(faces), *notes):
        say_words(escape(line))


def face_words(face: ExplainedFace) -> str:
    """Return which face it is."""
    left, top = (round(value) for value in face.face.box[:2])
    words = f"face {face.number}: {face.face.size_px:.0f} px, at {left},{top}"
    if face.found_again is False:
        words += "; the copy shows none there: asked about all the same"
    return words


def face_table(face: ExplainedFace, titles: Sequence[str]) -> Table:
    """Return whom each recogniser takes a face for; `titles` are the names of the photo and of its copy."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("recogniser", no_wrap=True)
    for title in titles:
        table.add_column(escape(title), no_wrap=True, overflow="ellipsis", max_width=26)
        table.add_column("", no_wrap=True, justify="right")
    for answer in face.answers:
        versions = [answer.original] if answer.copy is None else [answer.original, answer.copy]
        lists = [list(_rows(each)) for each in versions]
        for number, row in enumerate(zip_longest(*lists, fillvalue=_EMPTY)):
            table.add_row(
                escape(printable(answer.recogniser)) if number == 0 else "", *(cell for pair in row for cell in pair)
            )
        table.add_row()
    return table


def explanation_words(faces: Sequence[ExplainedFace]) -> Iterator[str]:
    """Yield what has to be known to read the tables."""
    answers = [answer for face in faces for answer in face.answers]
    found = [each for answer in answers for each in (answer.original, answer.copy) if each is not None]
    if any(each.named for each in found):
        yield f"{NAMED} near enough for who names at most {FALSE_NAMES:.0%} of strangers"
    yield from sorted(
        {classifier_words(printable(each.recogniser), each.names) for each in answers if each.role == "classifier"}
    )
    uncertain = {each.recogniser for each in answers if each.original.nobody is None and each.role != "classifier"}
    if uncertain:
        names = ", ".join(sorted(uncertain))
        yield f"no chances of {names}, which was not calibrated for them: similarities instead"
    if any(each.unaware is not None for each in found):
        yield (
            "The copy's chances are those of who expects cloaks, and trusts no difference; "
            f"{UNEXPECTED!r} is what others believe, wrongly where the face is cloaked."
        )


def _rows(found: Identification) -> Iterator[tuple[str, str]]:
    """Yield the names as markup, each with how sure it is."""
    for place, each in enumerate(found.candidates):
        mark = f" {NAMED}" if found.named and place == 0 else ""
        chance = f"{each.score:.3f}" if each.confidence is None else chance_words(each.confidence)
        name = escape(f"{printable(each.name)}{mark}")
        yield (f"[bold]{name}[/bold]" if mark else name), chance
    if found.others is not None:
        yield OTHERS, chance_words(found.others)
    if found.nobody is not None:
        yield NONE_OF_THESE, chance_words(found.nobody)
    if found.unaware is not None:
        yield UNEXPECTED, chance_words(found.unaware)
