"""Where models are: recognisers with their cards, and the detector's weights.

Looked for in `$UNCNN_MODELS`, then the user's data directory, then inside the package, then in installed packages that
ship one (dlib's recogniser in `face_recognition_models`). The first folder that has a name wins.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uncnn.plugins.api import UncnnError
from uncnn.plugins.cards import Card, read_card, sha256_of

DETECTOR_WEIGHTS = ("retinaface-resnet50.pth", "retinaface-mobilenet0.25.pth")
"""Looked for in this order: the larger network first, where somebody put it."""

DETECTOR_EXPORT = 1  # counts up when the export changes: an older one is not taken

WEIGHTS_URL = (
    "https://raw.githubusercontent.com/cunjian/pytorch_face_landmark/"
    "6f34bf9f034aa2f521952f825e6ccc567deb42d6/Retinaface/weights/mobilenet0.25_Final.pth"
)


class ModelsError(UncnnError):
    """A model is missing, or there are too few for protection that can be shown."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A model folder and its card."""

    folder: Path
    card: Card


@dataclass(frozen=True, slots=True)
class Roster:
    """The models of one run: what is attacked, what only judges, and where the detector's weights lie."""

    surrogates: tuple[Installed, ...]
    judges: tuple[Installed, ...]
    left_out: tuple[Installed, ...]  # for their licence
    weights: Path  # RetinaFace, torch
    detector: Path  # RetinaFace, ONNX, for the verifier


def search_path(data: Path) -> list[Path]:
    """Return the folders in which models are looked for; `data` is the user's data directory."""
    named = [Path(part).expanduser() for part in os.environ.get("UNCNN_MODELS", "").split(os.pathsep) if part]
    return [*named, data / "models", Path(__file__).parent / "models"]


def installed(data: Path) -> list[Installed]:
    """Return every recogniser that is there, by name; dlib's is exported on first use.

    Raises:
        CardError: a card cannot be read.
    """
    found: dict[str, Installed] = {}
    for folder in search_path(data):
        for card_file in sorted(folder.glob("[!.]*/card.yaml")):
            card = read_card(card_file.parent)
            found.setdefault(card.name, Installed(card_file.parent, card))
    if "dlib-resnet" not in found:
        from uncnn.exporters.dlib import ensure_dlib

        folder = ensure_dlib(data / "models")
        found["dlib-resnet"] = Installed(folder, read_card(folder))
    return [found[name] for name in sorted(found)]


def detector_weights(data: Path) -> Path:
    """Return the file of RetinaFace's weights.

    Raises:
        ModelsError: there is none; the message says how to get them.
    """
    for folder in search_path(data):
        for name in DETECTOR_WEIGHTS:
            if (folder / name).is_file():
                return folder / name
    raise ModelsError(
        f"RetinaFace's weights (retinaface-mobilenet0.25.pth) are missing: "
        f"download {WEIGHTS_URL} as {data / 'models' / 'retinaface-mobilenet0.25.pth'}, "
        f"or set UNCNN_MODELS to a folder that has them"
    )


def detector_onnx(weights: Path, data: Path) -> Path:
    """Return RetinaFace as ONNX for the verifier, exported once for each weights file."""
    path = data / "models" / f"{weights.stem}-{sha256_of(weights)[:16]}-{DETECTOR_EXPORT}.onnx"
    if not path.is_file():
        from uncnn.plugins.detectors.retinaface_network import export_onnx

        path.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(weights, path)
    return path


def choose(
    models: Sequence[Installed],
    surrogates: Sequence[str] | Literal["auto"],
    judges: Sequence[str] | Literal["auto"],
    licences: Sequence[str],
) -> tuple[list[Installed], list[Installed], list[Installed]]:
    """Return the surrogates, the judges, and what the accepted `licences` leave out.

    Raises:
        ModelsError: a named model is not installed, is not licensed for this use, or stands on both sides; or one of
            the sides is empty.
    """
    allowed = [model for model in models if model.card.licence.use in licences]
    left_out = [model for model in models if model.card.licence.use not in licences]
    attacked = _side(models, allowed, surrogates, "surrogate")
    judging = _side(models, allowed, judges, "judge")
    both = {model.card.name for model in attacked} & {model.card.name for model in judging}
    if both:
        raise ModelsError(f"{', '.join(sorted(both))} cannot be surrogate and judge at once: a judge is never attacked")
    for side, chosen in (("surrogate", attacked), ("judge", judging)):
        if not chosen:
            raise ModelsError(_too_few(side, left_out))
    return attacked, judging, left_out


def prepare(
    data: Path,
    surrogates: Sequence[str] | Literal["auto"],
    judges: Sequence[str] | Literal["auto"],
    licences: Sequence[str],
) -> Roster:
    """Return the models of a run, with what has to be exported first exported.

    Raises:
        ModelsError: something is missing. CardError, DlibError: a model is broken.
    """
    weights = detector_weights(data)
    attacked, judging, left_out = choose(installed(data), surrogates, judges, licences)
    return Roster(tuple(attacked), tuple(judging), tuple(left_out), weights, detector_onnx(weights, data))


def _side(
    models: Sequence[Installed], allowed: Sequence[Installed], wanted: Sequence[str] | Literal["auto"], role: str
) -> list[Installed]:
    if wanted == "auto":
        return [model for model in allowed if model.card.role == role]
    by_name = {model.card.name: model for model in models}
    for name in wanted:
        if name not in by_name:
            raise ModelsError(f"{role} {name!r} is not installed: there are {', '.join(by_name)}")
        use = by_name[name].card.licence.use
        if by_name[name] not in allowed:
            raise ModelsError(f"{role} {name} is for {use} use only: add {use} to models.licences to accept that")
    return [by_name[name] for name in wanted]


def _too_few(side: str, left_out: Sequence[Installed]) -> str:
    names = ", ".join(model.card.name for model in left_out if model.card.role == side)
    accept = f"; accept research licences (--licence research) to use {names}" if names else ""
    return (
        f"no {side} is installed: set UNCNN_MODELS to a folder of recognisers "
        f"(each with model.onnx and card.yaml, role {side}){accept}"
    )
