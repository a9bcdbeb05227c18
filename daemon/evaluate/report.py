"""An evaluation in sentences for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from uncnn.daemon.evaluate.evaluation import Evaluation
from uncnn.daemon.evaluate.faces import FaceFinding, worst_cases
from uncnn.daemon.evaluate.findings import RATES, Finding
from uncnn.daemon.evaluate.groups import Category
from uncnn.daemon.evaluate.plots import drawable
from uncnn.daemon.evaluate.values import Shot
from uncnn.daemon.evaluate.visibility import StrengthSummary, likeness
from uncnn.daemon.text import printable
from uncnn.plugins.extras import missing_words

SCHEMA_VERSION: Final = 2
"""Of an evaluation as JSON: 2 has a finding and a summary a size of face too."""


def facts(evaluation: Evaluation) -> list[str]:
    """Return in sentences what was evaluated, and on what."""
    plan, machine = evaluation.plan, evaluation.machine
    judges = ", ".join(
        f"{printable(judge.name)} ({_sign(judge.metric)} {judge.threshold:.3f}{', outside' if judge.outside else ''})"
        for judge in evaluation.judges
    )
    among = f"{evaluation.distractors:,} distractors" if evaluation.distractors else "no distractors"
    parameters = ", ".join(f"{key} {value}" for key, value in evaluation.attack.parameters.items())
    memory = [
        f"{name} {size / 2**20:,.0f} MiB"
        for name, size in (
            ("worker", machine.worker_bytes),
            ("verifier", machine.verifier_bytes),
        )
        if size is not None
    ]
    found = [
        f"{len(evaluation.shots)} photos of {evaluation.people} people, {among}; {_released(evaluation)}",
        f"attack {evaluation.attack.name}{f' ({parameters})' if parameters else ''} on "
        f"{len(evaluation.surrogates)} surrogates: {', '.join(evaluation.surrogates)}",
        f"judges, never attacked, with what links two faces at FAR {plan.far:g}: {judges}",
        f"{machine.device}, {machine.cores} cores, {machine.seconds:.0f} s in all"
        + (f"; at most {', '.join(memory)} of memory" if memory else ""),
    ]
    if all(summary.mean is not None and summary.mean.butteraugli is None for summary in evaluation.summaries_over_all):
        found.append("no Butteraugli: butteraugli_main is not installed (on Debian: libjxl-devtools)")
    if all(summary.mean is not None and summary.mean.ssimulacra2 is None for summary in evaluation.summaries_over_all):
        found.append(f"no SSIMULACRA2: {missing_words(['ssimulacra2'])}")
    if not drawable():
        found.append(f"no plots: {missing_words(['matplotlib'])}")
    found += [plan.doubt] if plan.doubt else []
    names = {shot.person for shot in evaluation.shots}
    for category, whose in plan.groups.items():
        missing = len(names - whose.keys())
        if missing:
            found.append(
                f"{missing} of {len(names)} people have no {printable(category)} in --groups and are in no group of it"
            )
    found += evaluation.notes
    return found + [f"left out: {reason}" for reason in evaluation.left_out]


def _released(evaluation: Evaluation) -> str:
    """Return in words what the figures are of."""
    if not evaluation.plan.as_installed:
        return f"published as JPEG {evaluation.plan.quality}"
    held = evaluation.summaries_over_all[-1].held
    rest = f", {held} held and left out of what is said of published ones" if held else ", none held"
    return f"as the default policy of a fresh installation publishes them{rest}"


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as JSON values; names are a contract of `SCHEMA_VERSION`."""
    plan = evaluation.plan
    return {
        "schema_version": SCHEMA_VERSION,
        "folder": printable(plan.folder),
        "people": evaluation.people,
        "distractors": evaluation.distractors,
        "synthetic_distractors": plan.synthetic,
        "as_installed": plan.as_installed,
        "far": plan.far,
        "views": list(plan.views),
        "quality": plan.quality,
        "attack": {"name": evaluation.attack.name, "parameters": evaluation.attack.parameters},
        "surrogates": list(evaluation.surrogates),
        "judges": [{**asdict(judge), "name": printable(judge.name)} for judge in evaluation.judges],
        "strengths": [_summary_json(summary) for summary in evaluation.summaries],
        "findings": [_finding_json(found) for found in evaluation.findings],
        "groups": [_category_json(category) for category in evaluation.categories],
        "any_judge": [asdict(case) for case in worst_cases(evaluation.faces, evaluation.shots, plan.strengths)],
        "photos": [_shot_json(shot, evaluation.faces) for shot in evaluation.shots],
        "machine": asdict(evaluation.machine),
        "notes": list(evaluation.notes),
        "left_out": list(evaluation.left_out),
    }


def _summary_json(summary: StrengthSummary) -> dict[str, Any]:
    return {
        "strength": summary.strength,
        "size": summary.size,
        "photos": summary.photos,
        "held": summary.held,
        "visibility": _fields(summary.mean),
        "ssimulacra2_worst_tenth": summary.worst_tenth,
        "jod": _fields(summary.jod),
        "worst_jod": _fields(summary.worst_jod),
        "likeness": _fields(summary.likeness),
        "years_older": _fields(summary.age),
        "seconds_a_face": summary.seconds,
        "found_again": summary.found_again,
    }


def _category_json(category: Category) -> dict[str, Any]:
    groups = [
        {
            "name": printable(group.name),
            "people": group.people,
            **{key: asdict(own) for key, own in group.rates.items()},
        }
        for group in category.groups
    ]
    apart = {key: asdict(gap) for key, gap in category.gaps.items()}
    return {"strength": category.strength, "category": printable(category.name), "groups": groups, "apart": apart}


def _finding_json(found: Finding) -> dict[str, Any]:
    content = {
        "judge": printable(found.judge),
        "strength": found.strength,
        "view": found.view,
        "size": found.size,
        **{name: asdict(getattr(found, name)) for name in RATES},
    }
    if found.curve is not None:
        content["roc"] = {"far": list(found.curve.fars), "tar": list(found.curve.tars)}
    return content


def _shot_json(shot: Shot, faces: Sequence[FaceFinding]) -> dict[str, Any]:
    nearest = {face.strength: face for face in faces if face.photo == shot.name}
    takes = [
        {
            "strength": strength,
            "cloaked_with": list(take.strengths),
            "held": take.held or None,
            "seconds": take.seconds,
            "found_again": take.found_again,
            "visibility": _fields(take.visibility),
            "jod": _fields(take.jod),
            "likeness": likeness(shot, take),
            "age": take.age,
            "nearest_own": _fields(nearest[strength].own) if strength in nearest else None,
            "nearest_cross": _fields(nearest[strength].cross) if strength in nearest else None,
        }
        for strength, take in shot.takes.items()
    ]
    person = printable(shot.person)
    return {"person": person, "photo": shot.name, "face_px": shot.face_px, "age": shot.age, "takes": takes}


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of a dataclass; None stays so."""
    return None if value is None else asdict(value)


def _sign(metric: str) -> str:
    return ">=" if metric == "cosine" else "<="
