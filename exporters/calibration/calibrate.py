"""Thresholds of a recogniser from a folder of faces, with their confidence intervals, and its accuracy.

Embeddings live in memory only: what is kept of a person's photos is a handful of numbers about all of them together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uncnn.exporters.calibration.faces import FaceFolder, Report, look_with, read_faces
from uncnn.exporters.calibration.impostors import Impostors, compare_all, intervals, threshold
from uncnn.exporters.calibration.verification import FOLDS, Accuracy, accuracy, draw_pairs
from uncnn.plugins.api import Detector, UncnnError
from uncnn.plugins.recognisers.cards import Card, Embeddings, rate_text
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser

FARS = (1e-2, 1e-3, 1e-4)
LEAST_ACCEPTS = 10  # pairs that have to lie beyond a threshold
LEAST_PEOPLE = 20  # for an interval: fewer cannot say how different people are
DIGITS = 6  # significant ones, of what a card says
SAME = 1 - 1e-6  # cosine similarity of what no recogniser takes for two people


class CalibrationError(UncnnError):
    """A recogniser cannot be calibrated: the message names it, what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a folder of faces says about a recogniser."""

    data: str
    people: int
    faces: int
    impostor_pairs: int
    thresholds: Mapping[float, float]  # by false accept rate, in the card's metric
    intervals: Mapping[float, tuple[float, float]]  # 95 %, of each threshold; none where people are few
    accuracy: Accuracy | None
    notes: tuple[str, ...]  # what could not be measured, and what was left out


def calibrate(
    folder: Path,
    recogniser: OnnxRecogniser,
    detector: Detector,
    *,
    name: str | None = None,
    report: Report | None = None,
) -> Calibration:
    """Return the calibration of one recogniser on one folder; for several, read the faces once (`read_faces`).

    `name` is what the card will call the data; `report` hears of each photo that is read and of each face embedded.

    Raises:
        FacesError: the folder is missing or has not two people. CalibrationError: the recogniser tells nobody apart.
    """

    def first_half(done: int, total: int) -> None:
        if report:
            report(done, 2 * total)

    faces = read_faces([folder], look_with(detector), first_half, name=name)
    photos = len(faces.faces) + len(faces.left_out)

    def second_half(done: int, total: int) -> None:
        if report:
            report(2 * photos - total + done, 2 * photos)

    return calibrate_faces(faces, recogniser, second_half)


def calibrate_faces(faces: FaceFolder, recogniser: OnnxRecogniser, report: Report | None = None) -> Calibration:
    """Return the calibration of a recogniser on faces that were read before.

    Raises:
        CalibrationError: an embedding is zero or not finite, or different people's are the same.
    """
    return calibrate_embeddings(faces, recogniser.card, embed_faces(faces, recogniser, report))


def calibrate_embeddings(faces: FaceFolder, card: Card, embeddings: Embeddings) -> Calibration:
    """Return the calibration of the recogniser of `card` that gave `embeddings`, (N, D), for `faces`.

    Raises:
        CalibrationError: different people's embeddings are the same.
    """
    people = [face.person for face in faces.faces]
    values = embeddings.astype(np.float64)
    if card.metric == "cosine":
        values /= np.linalg.norm(values, axis=1, keepdims=True)
    impostors = compare_all(values, people, euclidean=card.metric == "euclidean")
    fars = [far for far in FARS if far * impostors.pairs >= LEAST_ACCEPTS * (1 - 1e-9)]
    notes = [_too_few_pairs(far, impostors.pairs) for far in FARS if far not in fars]
    limits = [_in_metric(card, threshold(impostors, far)) for far in fars]
    _check_apart(card, limits, float(np.linalg.norm(values, axis=1).mean()))
    count = len(set(people))
    bounds = _bounds(card, impostors, fars) if count >= LEAST_PEOPLE else []
    if not bounds and fars:
        notes.append(f"no confidence intervals: {count} people, and {LEAST_PEOPLE} are needed; add photos of others")
    folds = draw_pairs(people)
    if not folds:
        notes.append(f"no accuracy: {FOLDS} people with several photos and {2 * FOLDS} people in all are needed")
    notes.extend(faces.losses())
    return Calibration(
        faces.name,
        count,
        len(people),
        impostors.pairs,
        dict(zip(fars, limits, strict=True)),
        dict(zip(fars, bounds, strict=False)),
        accuracy(card, embeddings, folds) if folds else None,
        tuple(notes),
    )


def apply(card: Card, calibration: Calibration) -> Card:
    """Return `card` with the thresholds, intervals and accuracy of `calibration` and what they were measured on.

    All thresholds before are replaced: they were measured on other data.

    Raises:
        CalibrationError: there were too few faces for any threshold.
    """
    if not calibration.thresholds:
        raise CalibrationError(f"{card.name}: {calibration.data}: no threshold: {'; '.join(calibration.notes[:3])}")
    measured = dict(card.accuracy)
    if calibration.accuracy:
        data = "_".join(re.findall(r"\w+", calibration.data.lower()))
        measured[f"{data}_{calibration.accuracy.pairs}_drawn_pairs"] = round(calibration.accuracy.value, 5)
    counts = f"{calibration.people:,} people, {calibration.faces:,} faces, {calibration.impostor_pairs:,}"
    changed = {
        "thresholds": dict(calibration.thresholds),
        "intervals": dict(calibration.intervals) or None,
        "calibrated_on": f"{calibration.data}: {counts} cross-identity pairs",
        "accuracy": measured,
    }
    return Card.model_validate({**card.model_dump(), **changed})


def embed_faces(faces: FaceFolder, recogniser: OnnxRecogniser, report: Report | None = None) -> Embeddings:
    """Return the embedding of every face, (N, D).

    Raises:
        CalibrationError: one is zero or not finite.
    """
    rows = []
    for number, face in enumerate(faces.faces, 1):
        row = recogniser.embed(face.patch, face.landmarks[None])[0]
        if not np.isfinite(row).all() or not row.any():
            raise CalibrationError(
                f"{recogniser.card.name}: {face.file}: the embedding of its face is zero or not finite: the model is "
                "damaged, or its card's input (order, mean, std) is not what it was trained with; fix or leave it out"
            )
        rows.append(row)
        if report:
            report(number, len(faces.faces))
    return np.stack(rows)


def _bounds(card: Card, impostors: Impostors, fars: Sequence[float]) -> list[tuple[float, float]]:
    """Return the confidence interval of each threshold in the card's metric, lower end first."""
    ends = ((_in_metric(card, a), _in_metric(card, b)) for a, b in intervals(impostors, fars))
    return [(min(pair), max(pair)) for pair in ends]


def _in_metric(card: Card, closeness: float) -> float:
    value = min(max(closeness, -1.0), 1.0) if card.metric == "cosine" else -closeness
    return float(f"{value:.{DIGITS}g}") + 0.0  # no -0.0


def _check_apart(card: Card, limits: Sequence[float], length: float) -> None:
    """Check that a recogniser does not give one and the same embedding to everybody; `length` is their mean length.

    Raises:
        CalibrationError: it does.
    """
    same = [value >= SAME if card.metric == "cosine" else value <= (1 - SAME) * length for value in limits]
    if any(same):
        raise CalibrationError(
            f"{card.name}: different people's faces have the same embedding at a false accept rate of "
            f"{rate_text(FARS[same.index(True)])}: the model is damaged, its card's input (order, mean, std) is wrong, "
            "or the folder has the same photos under several names; check these and calibrate again"
        )


def _too_few_pairs(far: float, pairs: int) -> str:
    return (
        f"no threshold at a false accept rate of {rate_text(far)}: of {pairs:,} pairs of different people it accepts "
        f"{far * pairs:.1f}, and {LEAST_ACCEPTS} are needed; {int((2 * LEAST_ACCEPTS / far) ** 0.5) + 2} people suffice"
    )
