"""An evaluation as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from rich.table import Table

from uncnn.daemon.evaluate.evaluation import Evaluation
from uncnn.daemon.evaluate.faces import FaceFinding, Nearest, worst_cases, worst_faces
from uncnn.daemon.evaluate.findings import RATES
from uncnn.daemon.evaluate.intervals import NOTHING
from uncnn.daemon.evaluate.plan import AS_INSTALLED, UNCLOAKED
from uncnn.daemon.evaluate.visibility import StrengthSummary
from uncnn.daemon.text import printable
from uncnn.daemon.verify.jod import Jod

Row: TypeAlias = tuple[str, ...]

WORST: Final = 10
"""Faces of each strength that the table of the worst has."""

SUMMARY: Final[Row] = (
    "cloak",
    "view",
    "matches",
    "own\nphoto",
    "cc",
    "mixed\nhalf",
    "rank\n1",
    "gallery\nrank 1",
    "linear\nprobe",
)
SUMMARY_BY_SIZE: Final[Row] = (
    "cloak",
    "faces",
    "n",
    "JOD\nphone",
    "desk-\ntop",
    "2x\nzoom",
    "like-\nness",
    "years\nolder",
    "own\nphoto",
    "mat-\nches",
    "cc",
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
    "cc",
)
MIXED: Final[Row] = ("judge", "cloak", "view", "any 1/4", "1/2", "3/4", "rank 1 1/4", "1/2", "3/4")
ALBUMS: Final[Row] = (
    "judge",
    "cloak",
    "view",
    "cc",
    "any of 2",
    "of 4",
    "of 8",
    "majority",
    "rank 50",
    "rank 1 s",
    "rank 50 s",
)
VISIBILITY: Final[Row] = (
    "cloak",
    "SSIMULACRA2",
    "a tenth below",
    "Butteraugli",
    "3-norm",
    "PSNR, dB",
    "SSIM",
    "mean change",
    "99th percentile",
    "worst JOD phone",
    "desktop",
    "zoom",
    "found again",
    "s a face",
)
GROUPS: Final[Row] = ("cloak", "by", "group", "people", "matches", "own\nphoto", "any\njudge", "cc", "held")
ANY_JUDGE: Final[Row] = ("cloak", "to its own", "to another photo")
FACES: Final[Row] = ("cloak", "photo", "px", "JOD phone", "desktop", "zoom", "nearest to another photo", "to its own")


def summary_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a strength and view: of each rate that of the judge that links most."""
    brief = ("own_photo", "cloaked_match", "mixed_50", "rank1", "gallery_rank1", "linear_probe")
    for summary in evaluation.summaries_over_all:
        lead = cloak_words(summary.strength)
        for view in evaluation.plan.views:
            yield (
                lead,
                view,
                str(evaluation.worst("match", summary.strength, view)),
                *(evaluation.worst(name, summary.strength, view).brief for name in brief),
            )
            lead = ""


def size_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a strength and size of face: what people see, and what the judge that links most still links."""
    view, before = evaluation.plan.views[0], ""
    for summary in evaluation.summaries:
        rates = [
            evaluation.worst(name, summary.strength, view, summary.size).brief
            for name in ("own_photo", "match", "cloaked_match")
        ]
        yield (
            cloak_words(summary.strength) if summary.strength != before else "",
            summary.size,
            str(summary.photos),
            *_jod(summary.jod),
            "-" if summary.likeness is None else f"{summary.likeness.mean:.2f}",
            "-" if summary.age is None else f"{summary.age.mean:+.1f}",
            *rates,
            _seconds(summary),
        )
        before = summary.strength


def judge_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a judge, strength and view, with every interval."""
    rates = ("match", "own_photo", "rank1", "gallery_match", "gallery_rank1", "linear_probe", "cloaked_match")
    yield from _rows_of(evaluation, rates)


def mixed_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a judge, strength and view: galleries of which a share is cloaked."""
    yield from _rows_of(evaluation, tuple(name for name in RATES if name.startswith("mixed")))


def album_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a judge, strength and view: who has several cloaked photos of a person, or looks at many answers."""
    grown = tuple(name for name in RATES if name.startswith("growing"))
    yield from _rows_of(
        evaluation, ("cloaked_match", *grown, "majority", "rank50", "rank1_synthetic", "rank50_synthetic")
    )


def any_judge_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a strength: the photos that at least one judge links."""
    for case in worst_cases(evaluation.faces, evaluation.shots, evaluation.plan.strengths):
        yield cloak_words(case.strength), str(case.own), str(case.cross)


def group_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a strength and group of people, and two of how far the groups of a category are apart."""
    names, before = ("match", "own_photo", "any_judge", "cloaked_match", "held"), ""
    for category in evaluation.categories:
        lead = cloak_words(category.strength) if category.strength != before else ""
        by, before = printable(category.name), category.strength
        for group in category.groups:
            rates = [group.rates.get(name, NOTHING) for name in names]
            cells = (str(rates[0]), *(each.brief for each in rates[1:]))
            yield lead, by, printable(group.name), str(group.people), *cells
            lead = by = ""
        gaps = [category.gaps.get(name) for name in names]
        yield "", "", "apart", "", *("-" if gap is None else f"{gap.value:.0%}" for gap in gaps)
        yield "", "", "by chance", "", *("-" if gap is None else gap.chance_words for gap in gaps)


def _rows_of(evaluation: Evaluation, rates: tuple[str, ...]) -> Iterator[Row]:
    for judge in evaluation.judges:
        for found in evaluation.over_all:
            if found.judge == judge.name:
                figures = (str(getattr(found, name)) for name in rates)
                yield (printable(judge.name), cloak_words(found.strength), found.view, *figures)


def visibility_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row a strength: what it looks like and what it takes."""
    for summary in evaluation.summaries_over_all:
        yield (
            cloak_words(summary.strength),
            _number(summary, "ssimulacra2", 1),
            "-" if summary.worst_tenth is None else f"{summary.worst_tenth:.1f}",
            _number(summary, "butteraugli", 2),
            _number(summary, "butteraugli_3norm", 2),
            _number(summary, "psnr", 1),
            _number(summary, "ssim", 3),
            _number(summary, "mean_255", 1),
            _number(summary, "p99_255", 0),
            *_jod(summary.worst_jod),
            f"{summary.found_again:.0%}",
            _seconds(summary),
        )


def face_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row for each of the faces that are nearest to a link, worst first."""
    for strength in evaluation.plan.strengths:
        for face in worst_faces(evaluation.faces, strength, WORST):
            yield _face_row(face)


def _face_row(face: FaceFinding) -> Row:
    return (
        cloak_words(face.strength),
        printable(face.photo),
        f"{face.face_px:.0f}",
        *_jod(face.jod),
        _nearest(face.cross),
        _nearest(face.own),
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
    """Return every table with its title, those of the summary first: two, and groups of people where there are any."""
    groups = [("groups of people", table(GROUPS, group_rows(evaluation), 3))] if evaluation.categories else []
    return [
        ("what is still linked, by the judge that links most", table(SUMMARY, summary_rows(evaluation), 2)),
        ("what is seen, by size of face", table(SUMMARY_BY_SIZE, size_rows(evaluation), 2)),
        *groups,
        ("each judge", table(JUDGES, judge_rows(evaluation), 3)),
        ("galleries of which a share is cloaked", table(MIXED, mixed_rows(evaluation), 3)),
        ("several cloaked photos of a person", table(ALBUMS, album_rows(evaluation), 3)),
        ("linked by any judge", table(ANY_JUDGE, any_judge_rows(evaluation), 1)),
        ("what it looks like", table(VISIBILITY, visibility_rows(evaluation), 1)),
        ("the faces nearest to a link", table(FACES, face_rows(evaluation), 2)),
    ]


def cloak_words(strength: str) -> str:
    """Return what a strength is called in tables and pictures."""
    return {UNCLOAKED: "no cloak", AS_INSTALLED: "as installed"}.get(strength, strength)


def _number(summary: StrengthSummary, metric: str, digits: int) -> str:
    value = None if summary.mean is None else getattr(summary.mean, metric)
    return "-" if value is None else f"{value:.{digits}f}"


def _jod(jod: Jod | None) -> Row:
    """Return what is written of the three displays."""
    values = (None, None, None) if jod is None else (jod.phone, jod.desktop, jod.zoom)
    return tuple("-" if value is None else f"{value:.2f}" for value in values)


def _seconds(summary: StrengthSummary) -> str:
    return "-" if summary.strength == UNCLOAKED or not summary.photos else f"{summary.seconds:.1f}"


def _nearest(nearest: Nearest | None) -> str:
    """Return the judge, and how far beyond its threshold, or on this side of it, the face lies."""
    if nearest is None:
        return "-"
    return f"{printable(nearest.judge)} {nearest.beyond:+.0%}{' linked' if nearest.beyond <= 0 else ''}"
