"""A verdict as the ledger keeps it, and back: figures and hashes, no picture, no embedding, no landmarks.

Fields that a verdict gets later go in as they are; one that was kept before has their defaults when it is read. A table
of columns takes a fraction of the room that a list of judgements does, each with all its names.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Final, TypeAlias

from uncnn.daemon.config.policies import Policy
from uncnn.daemon.ledger.verdicts import Proof
from uncnn.daemon.verify.verdict import VERDICT, Verdict
from uncnn.exporters.registry.detectors import ChosenDetector
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.recognisers.cards import margin_of

DIGITS: Final = 5
"""Of a figure."""

FORMAT: Final = 1
_NOWHERE: Final = ((0.0, 0.0),) * 5

Table: TypeAlias = dict[str, list[Any]]
"""Rows of one kind, column by column."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A verdict that was kept."""

    verdict: Verdict  # the boxes of its faces are whole pixels, and their landmarks are not kept: all are (0, 0)
    strengths: tuple[str, ...]  # a face each; "" where it was not cloaked
    asked: dict[str, Any]  # what the policy asked for besides: the smallest face, ...
    roster: dict[str, Any]  # the models, their hashes, the detector's, the version of uncnn


def proof_of(verdict: Verdict, strengths: Sequence[str], policy: Policy, roster: Roster) -> Proof:
    """Return a verdict under `policy` as the ledger keeps it; `roster` are the models that were asked."""
    content = {
        "format": FORMAT,
        "asked": policy.faces.model_dump(mode="json"),
        "strengths": list(strengths),
        "verdict": _packed(verdict),
    }
    return Proof(
        roster=_compact(roster_json(roster)),
        content=zlib.compress(_compact(content).encode(), 9),
        faces=len(verdict.faces),
        uncertain=sum(bool(face.uncertain) for face in verdict.faces),
        provisional=verdict.provisional,
    )


def kept_of(roster: str, content: bytes) -> Kept:
    """Return what `proof_of` made of a verdict.

    Raises:
        ValueError: this is none.
    """
    try:
        read = json.loads(zlib.decompress(content))
        return Kept(_unpacked(read["verdict"]), tuple(read["strengths"]), read["asked"], json.loads(roster))
    except (zlib.error, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it cannot be read: {error}") from error


def roster_json(roster: Roster) -> dict[str, Any]:
    """Return the models of a run as JSON values: by their hashes they are known again."""
    cards = [model.card for side in (roster.judges, roster.surrogates) for model in side]
    return {
        "uncnn": _version(),
        "detector": _detector_json(roster.detector),
        "models": [
            {
                "name": card.name,
                "family": card.family,
                "role": card.role,
                "sha256": card.sha256,
                "metric": card.metric,
                "thresholds": {f"{far:g}": threshold for far, threshold in card.thresholds.items()},
                "margin": margin_of(card, "calibrated"),
            }
            for card in cards
        ],
    }


def _detector_json(detector: ChosenDetector) -> dict[str, str]:
    if detector.plugin:
        return {"plugin": detector.plugin, "distribution": detector.distribution}
    return {"file": detector.files.onnx.name, "sha256": detector.files.onnx_sha256}


def _packed(verdict: Verdict) -> dict[str, Any]:
    packed: dict[str, Any] = VERDICT.dump_python(verdict, mode="json")
    del packed["fingerprint"]  # the row of the job has it
    for face in packed["faces"]:
        place = face.pop("face")
        face["box"], face["score"] = [round(edge) for edge in place["box"]], place["score"]
        face["judgements"] = _table(face["judgements"])
    packed["faces"] = _table(packed["faces"])
    return packed


def _unpacked(packed: dict[str, Any]) -> Verdict:
    faces = _rows(packed["faces"])
    for face in faces:
        face["face"] = {"box": face.pop("box"), "landmarks": _NOWHERE, "score": face.pop("score")}
        face["judgements"] = _rows(face["judgements"])
    return VERDICT.validate_python({**packed, "faces": faces})


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return rows that have the same keys as columns, their figures rounded."""
    return {name: [_rounded(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _compact(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


@cache
def _version() -> str:
    return version("uncnn")
