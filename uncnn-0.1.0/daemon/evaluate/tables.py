"""An evaluation as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from rich.table import Table

from uncnn.daemon.evaluate.evaluation import Evaluation, Look
from uncnn.daemon.evaluate.plan import UNCLOAKED

Row: TypeAlias = tuple[str, ...]

SUMMARY: Final[Row] = (
    "cloak",
    "view",
    "SSIMU-\nLACRA2",
    "Butter-\naugli",
    "matches",
    "own\nphoto",
    "rank\n1",
    "gallery\nrank 1",
    "linear\nprobe",
    "s a\nface",
)
JUDGES: Final[Row] = (
    "judge",
    "cloak",
    "view",
    "matches",
    "own photo",
    "rank 1",
    "gallery matches",
    "gallery rank 1",
    "linear probe",
)
LOOKS: Final[Row] = (
    "cloak",
    "SSIMULACRA2",
    "a tenth below",
    "Butteraugli",
    "3-norm",
    "PSNR, dB",
    "SSIM",
    "mean change",
    "99th percentile",
    "found again",
    "s a face",
)


def summary_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a strength and view: of each rate that of the judge that links most."""
    for look in evaluation.looks:
        lead: Row = (cloak_words(look.strength),)
        shown: Row = (_number(look, "ssimulacra2", 1), _number(look, "butteraugli", 2))
        seconds = "-" if look.strength == UNCLOAKED else f"{look.seconds:.1f}"
        for view in evaluation.plan.views:
            worst = {
                measure: evaluation.worst(measure, look.strength, view)
                for measure in ("match", "own_photo", "rank1", "gallery_rank1", "linear_probe")
            }
            brief = tuple(
                f"{worst[name].value:.0%}" for name in ("own_photo", "rank1", "gallery_rank1", "linear_probe")
            )
            yield (*lead, view, *shown, str(worst["match"]), *brief, seconds)
            lead, shown, seconds = ("",), ("", ""), ""


def judge_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a judge, strength and view, with every interval."""
    for judge in evaluation.judges:
        for found in evaluation.findings:
            if found.judge == judge.name:
                rates = (found.match, found.own_photo, found.rank1, found.gallery_match, found.gallery_rank1)
                yield (
                    judge.name,
                    cloak_words(found.strength),
                    found.view,
                    *map(str, (*rates, found.linear_probe)),
                )


def look_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a strength: what it looks like and what it takes."""
    for look in evaluation.looks:
        yield (
            cloak_words(look.strength),
            _number(look, "ssimulacra2", 1),
            "-" if look.worst_tenth is None else f"{look.worst_tenth:.1f}",
            _number(look, "butteraugli", 2),
            _number(look, "butteraugli_3norm", 2),
            _number(look, "psnr", 1),
            _number(look, "ssim", 3),
            _number(look, "mean_255", 1),
            _number(look, "p99_255", 0),
            f"{look.found_again:.0%}",
            "-" if look.strength == UNCLOAKED else f"{look.seconds:.1f}",
        )


def table(titles: Row, rows: Iterable[Row], words: int) -> Table:
    """Return a table for the terminal; the first `words` columns are words, the others figures."""
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for number, title in enumerate(titles):
        made.add_column(title, justify="left" if number < words else "right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def tables(evaluation: Evaluation) -> list[tuple[str, Table]]:
    """Return every table with its title, the summary first."""
    return [
        ("", table(SUMMARY, summary_rows(evaluation), 2)),
        ("each judge", table(JUDGES, judge_rows(evaluation), 3)),
        ("what it looks like", table(LOOKS, look_rows(evaluation), 1)),
    ]


def cloak_words(strength: str) -> str:
    """Return what a strength is called in tables and pictures."""
    return "no cloak" if strength == UNCLOAKED else strength


def _number(look: Look, metric: str, digits: int) -> str:
    value = None if look.mean is None else getattr(look.mean, metric)
    return "-" if value is None else f"{value:.{digits}f}"
