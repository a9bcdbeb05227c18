"""Which of the installed recognisers a run uses, for what, and why others are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import Card


class ModelsError(UncnnError):
    """A model is missing, or there are too few for protection that can be shown."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A model folder and its card."""

    folder: Path
    card: Card


def choose(
    models: Sequence[Installed],
    surrogates: Sequence[str] | Literal["auto"],
    judges: Sequence[str] | Literal["auto"],
    licences: Sequence[str],
) -> tuple[list[Installed], list[Installed], list[Installed]]:
    """Return the surrogates, the judges, and what is left out: for its licence, or because it was not calibrated.

    Raises:
        ModelsError: a named model is not installed, is not licensed for this use, has no thresholds, or stands on both
            sides; or one of the sides is empty.
    """
    left_out = [model for model in models if not _usable(model, licences)]
    attacked = _side(models, licences, surrogates, "surrogate")
    judging = _side(models, licences, judges, "judge")
    both = {model.card.name for model in attacked} & {model.card.name for model in judging}
    if both:
        raise ModelsError(f"{', '.join(sorted(both))} cannot be surrogate and judge at once: a judge is never attacked")
    for side, chosen in (("surrogate", attacked), ("judge", judging)):
        if not chosen:
            raise ModelsError(_too_few(side, left_out))
    return attacked, judging, left_out


def _usable(model: Installed, licences: Sequence[str]) -> bool:
    return model.card.licence.use in licences and bool(model.card.thresholds)


def _side(
    models: Sequence[Installed], licences: Sequence[str], wanted: Sequence[str] | Literal["auto"], role: str
) -> list[Installed]:
    if wanted == "auto":
        return [model for model in models if model.card.role == role and _usable(model, licences)]
    by_name = {model.card.name: model for model in models}
    for name in wanted:
        if name not in by_name:
            raise ModelsError(
                f"{role} {name!r} is not installed: there are {', '.join(by_name)}; "
                "see `uncnn-daemon models list` for what can be pulled"
            )
        card = by_name[name].card
        if card.licence.use not in licences:
            use = card.licence.use
            raise ModelsError(f"{role} {name} is for {use} use only: add {use} to models.licences to accept that")
        if not card.thresholds:
            raise ModelsError(f"{role} {uncalibrated(card)}")
    return [by_name[name] for name in wanted]


def uncalibrated(card: Card) -> str:
    """Return in words that a recogniser has no thresholds, what that means, and the remedy."""
    return (
        f"{card.name} has no thresholds, so that nothing can be said against it, and it is left out: "
        f"run `uncnn-daemon models calibrate {card.name} --faces FOLDER`"
    )


def _too_few(side: str, left_out: Sequence[Installed]) -> str:
    mine = [model.card for model in left_out if model.card.role == side]
    licensed = ", ".join(card.name for card in mine if card.thresholds)
    accept = f"; accept research licences (--licence research) to use {licensed}" if licensed else ""
    bare = " ".join(card.name for card in mine if not card.thresholds)
    calibrate = f"; calibrate to use them: `uncnn-daemon models calibrate {bare} --faces FOLDER`" if bare else ""
    return (
        f"no {side} is installed that can be used: get some with `uncnn-daemon models pull --pack small`, "
        f"or add your own with `uncnn-daemon models add`{accept}{calibrate}"
    )
