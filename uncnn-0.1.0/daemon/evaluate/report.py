"""An evaluation in sentences for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from uncnn.daemon.evaluate.evaluation import Evaluation, Finding, Look
from uncnn.daemon.evaluate.intervals import Rate
from uncnn.daemon.evaluate.values import Shot
from uncnn.daemon.wording import printable


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


def _sign(metric: str) -> str:
    return ">=" if metric == "cosine" else "<="
