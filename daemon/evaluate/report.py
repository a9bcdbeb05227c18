"""An evaluation in figures: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from rich.table import Table

from uncnn.daemon.evaluate.evaluation import Evaluation, Finding, Look
from uncnn.daemon.evaluate.intervals import Rate
from uncnn.daemon.evaluate.plan import UNCLOAKED
from uncnn.daemon.evaluate.shots import Shot
from uncnn.daemon.wording import printable

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


def facts(evaluation: Evaluation) -> list[str]:
    """Return in sentences what was evaluated, and on what."""
    plan, machine = evaluation.plan, evaluation.machine
    judges = ", ".join(f"{judge.name} ({_sign(judge.metric)} {judge.threshold:.3f})" for judge in evaluation.judges)
    among = f"{evaluation.distractors:,} distractors" if evaluation.distractors else "no distractors"
    parameters = ", ".join(f"{key} {value}" for key, value in evaluation.attack.parameters.items())
    memory = [
        f"{name} {size / 2**20:,.0f} MiB"
        for name, size in (("worker", machine.worker_bytes), ("verifier", machine.verifier_bytes))
        if size is not None
    ]
    found = [
        f"{len(evaluation.shots)} photos of {evaluation.people} people, {among}; released as JPEG {plan.quality}",
        f"attack {evaluation.attack.name}{f' ({parameters})' if parameters else ''} on "
        f"{len(evaluation.surrogates)} surrogates: {', '.join(evaluation.surrogates)}",
        f"judges, never attacked, with what links two faces at FAR {plan.far:g}: {judges}",
        f"{machine.device}, {machine.cores} cores, {machine.seconds:.0f} s in all"
        + (f"; at most {' and '.join(memory)} of memory" if memory else ""),
    ]
    if all(look.mean is not None and look.mean.butteraugli is None for look in evaluation.looks):
        found.append("no Butteraugli: butteraugli_main is not installed (on Debian: libjxl-devtools)")
    return found + [f"left out: {reason}" for reason in evaluation.left_out]


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as JSON values; names are a contract of `answers.SCHEMA_VERSION`."""
    plan = evaluation.plan
    return {
        "folder": printable(plan.folder),
        "people": evaluation.people,
        "distractors": evaluation.distractors,
        "far": plan.far,
        "views": list(plan.views),
        "quality": plan.quality,
        "attack": {"name": evaluation.attack.name, "parameters": evaluation.attack.parameters},
        "surrogates": list(evaluation.surrogates),
        "judges": [asdict(judge) for judge in evaluation.judges],
        "strengths": [_look_json(look) for look in evaluation.looks],
        "findings": [_finding_json(found) for found in evaluation.findings],
        "photos": [_shot_json(shot) for shot in evaluation.shots],
        "machine": asdict(evaluation.machine),
        "left_out": list(evaluation.left_out),
    }


def cloak_words(strength: str) -> str:
    """Return what a strength is called in tables and pictures."""
    return "no cloak" if strength == UNCLOAKED else strength


def _look_json(look: Look) -> dict[str, Any]:
    return {
        "strength": look.strength,
        "visibility": None if look.mean is None else asdict(look.mean),
        "ssimulacra2_worst_tenth": look.worst_tenth,
        "seconds_a_face": look.seconds,
        "found_again": look.found_again,
    }


def _finding_json(found: Finding) -> dict[str, Any]:
    rates: Sequence[tuple[str, Rate]] = [
        (name, getattr(found, name))
        for name in ("match", "own_photo", "rank1", "gallery_match", "gallery_rank1", "linear_probe")
    ]
    return {
        "judge": found.judge,
        "strength": found.strength,
        "view": found.view,
        **{name: asdict(own) for name, own in rates},
        "roc": {"far": list(found.curve.fars), "tar": list(found.curve.tars)},
    }


def _shot_json(shot: Shot) -> dict[str, Any]:
    takes = [
        {
            "strength": strength,
            "seconds": take.seconds,
            "found_again": take.found_again,
            "visibility": None if take.visibility is None else asdict(take.visibility),
        }
        for strength, take in shot.takes.items()
    ]
    return {"person": printable(shot.person), "photo": shot.name, "face_px": shot.face_px, "takes": takes}


def _number(look: Look, metric: str, digits: int) -> str:
    value = None if look.mean is None else getattr(look.mean, metric)
    return "-" if value is None else f"{value:.{digits}f}"


def _sign(metric: str) -> str:
    return ">=" if metric == "cosine" else "<="
