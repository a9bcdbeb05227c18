"""What is pinned: name, hash and thresholds of what comes with uncnn and of what the catalog knows.

A card says what it likes. A folder that bears one of our names is therefore compared with `pins.yaml`, which states
what ships, and with the catalog; `python -m uncnn.exporters.registry.pins` writes the former anew after
a model or card changed.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from uncnn.exporters.registry.catalog import RecogniserEntry, card_of, read_catalog, weights_of
from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import Card, Rate, Sha256, rate_text, read_card, sha256_of

EMBEDDED = Path(__file__).parents[1] / "models"
PINS = Path(__file__).with_name("pins.yaml")
DETECTORS = ("centerface", "retinaface-mobilenet0.25")  # their folders

DESCRIPTIVE = {
    *("name", "family", "intervals", "calibrated_on", "accuracy", "parity", "source", "training_data", "reference"),
    *("margin_source", "sha256", "thresholds", "licence", "confidence"),
}
"""Fields of a card that change no answer, or that are compared by themselves; all others must be as pinned."""


class PinsError(UncnnError):
    """What came with uncnn is not what it shipped as."""

    fault = "model"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Pin(_Strict):
    """What a name stands for."""

    sha256: Sha256 | None = None  # of model.onnx; None: it is converted where it is installed
    source: Sha256 | None = None  # of the upstream file, where the model's own hash is not known
    form: Sha256  # of all else that its answers depend on, see `form_of`
    thresholds: dict[Rate, float]
    confidence: Sha256 | None = None  # of what a card that ships says of it, which includes the hash of its strangers


class Pins(_Strict):
    """The table of what ships."""

    recognisers: dict[str, Pin]
    detectors: dict[str, Sha256]  # by file, below the folder of models


@cache
def read_pins() -> Pins:
    """Return the table of what ships. Raises PinsError: the table itself is damaged."""
    try:
        return Pins.model_validate(yaml.safe_load(PINS.read_bytes()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise PinsError(f"{PINS} cannot be used ({type(error).__name__}): install uncnn again") from error


def form_of(card: Card) -> str:
    """Return the sha256 of what a card's answers depend on besides the model and the thresholds: role, input, ..."""
    values: dict[str, Any] = card.model_dump(mode="json", exclude=DESCRIPTIVE)
    values["use"] = card.licence.use
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def pin_of(name: str) -> Pin | None:
    """Return what is known of a name: what ships, else what the catalog says; None where it is the user's own."""
    return read_pins().recognisers.get(name) or _catalogued().get(name)


def difference(card: Card) -> str:
    """Return in words how a card differs from what its name stands for; "" where it does not, or where it is free.

    Thresholds that link more, a calibration on other faces say, are no difference: they can only hold a photo back.
    """
    pin = pin_of(card.name)
    if pin is None:
        return ""
    if pin.sha256 is not None and card.sha256 != pin.sha256:
        return "another model.onnx"
    if pin.source is not None and (card.source is None or card.source.sha256 != pin.source):
        return "made of another file than the catalog's"
    if form_of(card) != pin.form:
        return "another role, input, template, embedding, metric, margin or licence"
    if card.confidence is not None and pin.confidence not in {None, _confidence_of(card)}:
        return "another confidence"
    return _laxer(card, pin)


def no_laxer(card: Card) -> tuple[Card, tuple[str, ...]]:
    """Return a card that was calibrated anew with no threshold laxer than its pin's, and in words which those are.

    At each rate the one that links more stays: the pin's where the new one would link less, or is missing.
    """
    pin = pin_of(card.name)
    if pin is None or not pin.thresholds:
        return card, ()
    strict = min if card.metric == "cosine" else max
    known = card.model_copy(update={"thresholds": pin.thresholds})
    thresholds, kept = dict(card.thresholds), []
    for far in sorted({*card.thresholds, *pin.thresholds}, reverse=True):
        if far > max(pin.thresholds):
            continue
        ours = known.threshold(far)
        mine = thresholds.get(far, ours)
        thresholds[far] = strict(mine, ours)
        if far not in card.thresholds or thresholds[far] != mine:
            kept.append(
                f"at FAR {rate_text(far)} the known threshold {ours:g} stays: it links more than the measured one"
            )
    held = {far: ends for far, ends in (card.intervals or {}).items() if ends[0] <= thresholds[far] <= ends[1]}
    return Card.model_validate({**card.model_dump(), "thresholds": thresholds, "intervals": held or None}), tuple(kept)


def is_proven(card: Card) -> bool:
    """Return whether a judge may decide alone: its hash is pinned, or its name is the user's own."""
    pin = pin_of(card.name)
    return pin is None or pin.sha256 is not None


def _laxer(card: Card, pin: Pin) -> str:
    if not pin.thresholds:
        return ""
    known = card.model_copy(update={"thresholds": pin.thresholds})
    for far in sorted({*card.thresholds, *pin.thresholds}, reverse=True):
        if far > max(card.thresholds, default=0):
            return f"no threshold at FAR {rate_text(far)}"
        if far > max(pin.thresholds):
            continue  # nobody may ask for a rate that ours has not, so nothing is said against a looser one
        mine, ours = card.threshold(far), known.threshold(far)
        if mine > ours if card.metric == "cosine" else mine < ours:
            return f"a laxer threshold at FAR {rate_text(far)} ({mine:g}, ours {ours:g})"
    return ""


@cache
def _catalogued() -> dict[str, Pin]:
    entries = [entry for entry in read_catalog().models if isinstance(entry, RecogniserEntry)]
    return {
        entry.name: Pin(
            source=weights_of(entry).sha256, form=form_of(card_of(entry)), thresholds=dict(entry.thresholds)
        )
        for entry in entries
    }


def check_embedded() -> None:
    """Check that the cards that came with uncnn are those that it shipped with.

    Their models, and the detector, are hashed when they are loaded.

    Raises:
        PinsError: one is missing or was changed.
    """
    for name, pin in read_pins().recognisers.items():
        try:
            card = read_card(EMBEDDED / name)
        except UncnnError as error:
            raise PinsError(f"{name}, which comes with uncnn, is damaged: {error}; install uncnn again") from error
        if _pin(card) != pin:
            raise PinsError(f"{EMBEDDED / name}: not the card that uncnn shipped with; install uncnn again")


def _pin(card: Card) -> Pin:
    return Pin(sha256=card.sha256, form=form_of(card), thresholds=card.thresholds, confidence=_confidence_of(card))


def _confidence_of(card: Card) -> str | None:
    if card.confidence is None:
        return None
    return hashlib.sha256(json.dumps(card.confidence.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def table() -> dict[str, Any]:
    """Return the table of what lies in the package now."""
    cards = [read_card(path.parent) for path in sorted(EMBEDDED.glob("*/card.yaml"))]
    files = sorted(path for folder in DETECTORS for path in EMBEDDED.glob(f"{folder}/{folder}.*") if path.is_file())
    recognisers = {}
    for card in cards:
        thresholds = {rate_text(far): card.thresholds[far] for far in sorted(card.thresholds, reverse=True)}
        recognisers[card.name] = {
            "sha256": card.sha256,
            "form": form_of(card),
            "thresholds": thresholds,
            "confidence": _confidence_of(card),
        }
    return {
        "recognisers": recognisers,
        "detectors": {str(path.relative_to(EMBEDDED)): sha256_of(path) for path in files},
    }


def main() -> None:
    """Write `pins.yaml` anew."""
    text = yaml.safe_dump(table(), sort_keys=False, width=120)
    head = "# What ships, by name: written by `python -m uncnn.exporters.registry.pins` from the cards in models/.\n"
    PINS.write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    main()
