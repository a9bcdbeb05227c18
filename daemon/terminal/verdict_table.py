"""What the commands print about a verdict for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Final

from rich.markup import escape

from uncnn.daemon.verify.figures import worst_views
from uncnn.daemon.verify.jod import jod_words, seen_words
from uncnn.daemon.verify.statement import DECIDED, asked_words
from uncnn.daemon.verify.verdict import FaceVerdict, Judgement, Verdict

_HEAD = ("recogniser", "", "before", "after", "linked if", "view", "")
_RIGHT = {"before", "after"}
_EVERY: Final = (0, 1, 2, 3, 4, 5, 6)
_WITHOUT_ROLE: Final = (0, 2, 3, 4, 5, 6)  # where none but judges are listed
_NARROW: Final = (0, 3, 6)

USUAL: Final = 80
"""Columns of a terminal in which everything has room."""

NARROW_FIGURES: Final = 18
"""Columns that a similarity and an answer take beside a name."""

Row = tuple[str, ...]


def verdict_lines(
    verdict: Verdict, strengths: Iterable[str] = (), surrogates: bool = False, width: int = USUAL
) -> Iterator[str]:
    """Yield as markup a line for each face, and one for each judge at the view that speaks most for one person.

    `surrogates` adds theirs. With names of 23 letters at most lines stay within 80 columns; where `width` columns are
    fewer, each judge has its similarity after and its answer alone, and the words are broken.
    """
    named = [*strengths, *("" for _ in verdict.faces)]
    listed = [
        (face, strength, [each for each in worst_views(face) if surrogates or each.role == "judge"])
        for face, strength in zip(verdict.faces, named, strict=False)
    ]
    if not listed:
        return
    narrow = width < USUAL
    yield from _broken(f"checked at: {asked_words(verdict)}", width)
    if verdict.jod is not None:
        yield from _broken(f"change: {jod_words(verdict.jod)}", width)
    chosen = _NARROW if narrow else _EVERY if surrogates else _WITHOUT_ROLE
    rows = [[_chosen(_judgement_words(each), chosen) for each in judgements] for _, _, judgements in listed]
    head = _chosen(_HEAD, chosen)
    if narrow:
        room = max(width - 2 - NARROW_FIGURES, 4)
        head = (_cut(head[0], room), *head[1:])
        rows = [[(_cut(row[0], room), *row[1:]) for row in own] for own in rows]
    widths = [max(map(len, column)) for column in zip(head, *(row for own in rows for row in own), strict=True)]
    yield f"  [bold]{_aligned(head, head, widths)}[/bold]"
    for number, ((face, strength, judgements), own) in enumerate(zip(listed, rows, strict=True), 1):
        yield from _broken(f"face {number}: {_face_words(face, strength)}", width)
        for judgement, row in zip(judgements, own, strict=True):
            colour = "red" if judgement.linked else "green"
            line = escape(_aligned(row[:-1], head, widths))
            yield f"  {line} [{colour}]{row[-1]}[/{colour}]"


def _face_words(face: FaceVerdict, strength: str) -> str:
    """Return its size, its cloak, how far its change shows to who looks closely, and the verdict."""
    words = f", strength {strength}" if strength else ""
    words += "" if face.zoom is None else f", {seen_words(face.zoom)} zoomed in"
    words += f", moved {face.moved:.1%}" if face.moved else ""
    state = "provisional" if face.provisional else "protected" if face.protected else "not protected"
    if not face.required:
        state = "left unchanged" if face.spared else "too small, left unchanged"
        state = DECIDED[face.decided] if face.decided else state
    return f"{face.face.size_px:.0f} px{words}: {state}"


def _judgement_words(judgement: Judgement) -> Row:
    found = "not linked"
    if judgement.linked:
        found = "no proof" if judgement.blind else "too close" if judgement.inside > 0 else "linked"
    return (
        judgement.recogniser,
        "judge" if judgement.role == "judge" else "attacked",
        f"{judgement.before:.3f}",
        f"{judgement.after:.3f}",
        f"{'>=' if judgement.metric == 'cosine' else '<='} {judgement.limit:.3f}",
        judgement.view,
        found,
    )


def _chosen(row: Row, columns: Sequence[int]) -> Row:
    return tuple(row[column] for column in columns)


def _cut(name: str, room: int) -> str:
    return name if len(name) <= room else f"{name[: room - 1]}\N{HORIZONTAL ELLIPSIS}"


def _broken(words: str, width: int) -> Iterator[str]:
    """Yield words as markup, set in from the left; broken into lines where a terminal is narrower than usual."""
    lines = [f"  {words}"] if width >= USUAL else wrap(words, width, initial_indent="  ", subsequent_indent="    ")
    yield from map(escape, lines)


def _aligned(row: Sequence[str], head: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(row, head, widths, strict=False)
    return " ".join(cell.rjust(width) if title in _RIGHT else cell.ljust(width) for cell, title, width in cells)
