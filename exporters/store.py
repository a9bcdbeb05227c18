"""Where models are: recognisers with their cards, and the detector's weights.

Looked for in `$UNCNN_MODELS`, then the user's data directory, then inside the package. The first folder that has a name
wins.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uncnn.exporters.choice import Installed, ModelsError, choose, uncalibrated
from uncnn.plugins.cards import Card, CardError, read_card, sha256_of

EMBEDDED = Path(__file__).parent / "models"
"""What comes with uncnn: see README.md there."""

OWN_DETECTOR = "retinaface-mobilenet0.25-uncnn.safetensors"
DETECTOR_WEIGHTS = ("retinaface-resnet50.pth", "retinaface-mobilenet0.25.pth", OWN_DETECTOR)
"""Looked for in this order: the larger network first, where somebody put it; then the published one, then ours."""

DETECTOR_EXPORT = 1  # counts up when the export changes: an older one is not taken

__all__ = [
    "EMBEDDED",
    "Installed",
    "ModelsError",
    "Place",
    "Roster",
    "choose",
    "detector_onnx",
    "detector_weights",
    "find_file",
    "in_use",
    "installed",
    "models_dir",
    "places",
    "prepare",
    "search_path",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """A model folder on the search path, whether or not its card can be read."""

    folder: Path
    card: Card | None
    problem: str = ""

    @property
    def name(self) -> str:
        """Return the name that its card says, or that of the folder."""
        return self.card.name if self.card else self.folder.name


@dataclass(frozen=True, slots=True)
class Roster:
    """The models of one run: what is attacked, what only judges, and where the detector's weights lie."""

    surrogates: tuple[Installed, ...]
    judges: tuple[Installed, ...]
    left_out: tuple[Installed, ...]  # for their licence, or because they were not calibrated
    weights: Path  # RetinaFace, torch
    detector: Path  # RetinaFace, ONNX, for the verifier

    def files(self) -> list[Path]:
        """Return the folders and files that loading them reads, with what they are links to."""
        folders = [model.folder for model in (*self.surrogates, *self.judges)]
        inside = [file for folder in folders for file in folder.iterdir() if file.is_symlink()]
        return [path.resolve() for path in (*folders, *inside, self.weights, self.detector)]

    def digest(self) -> str:
        """Return the sha256 of what these models are, wherever they lie.

        Their cards hold the hashes and the thresholds, and the name of the exported detector the hash of its weights.
        """
        cards = [[model.card.model_dump_json() for model in side] for side in (self.surrogates, self.judges)]
        return hashlib.sha256(json.dumps([cards, self.detector.name]).encode()).hexdigest()


def search_path(data: Path) -> list[Path]:
    """Return the folders in which models are looked for; `data` is the user's data directory."""
    named = [Path(part).expanduser() for part in os.environ.get("UNCNN_MODELS", "").split(os.pathsep) if part]
    return [*named, models_dir(data), EMBEDDED]


def models_dir(data: Path) -> Path:
    """Return the folder that models are put into: the only one that is changed."""
    return data / "models"


def places(data: Path) -> Iterator[Place]:
    """Yield every model folder on the search path, broken ones too; of one name the first is used."""
    for folder in search_path(data):
        for card_file in sorted(folder.glob("[!.]*/card.yaml")):
            try:
                yield Place(card_file.parent, read_card(card_file.parent))
            except CardError as error:
                yield Place(card_file.parent, None, str(error))


def in_use(data: Path) -> dict[str, Place]:
    """Return the model folder that a run takes for each name, the first on the search path; broken ones too."""
    found: dict[str, Place] = {}
    for place in places(data):
        found.setdefault(place.name, place)
    return found


def find_file(data: Path, name: str) -> Path | None:
    """Return the first file of this name that lies in a folder of the search path."""
    return next((file for folder in search_path(data) if (file := folder / name).is_file()), None)


def installed(data: Path) -> list[Installed]:
    """Return every recogniser that is there, by name.

    Raises:
        CardError: a card cannot be read.
    """
    found: dict[str, Installed] = {}
    for folder in search_path(data):
        for card_file in sorted(folder.glob("[!.]*/card.yaml")):
            card = read_card(card_file.parent)
            found.setdefault(card.name, Installed(card_file.parent, card))
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
        "RetinaFace's weights (retinaface-mobilenet0.25.pth) are missing: get them with "
        "`uncnn-daemon models pull retinaface-mobilenet0.25`, or set UNCNN_MODELS to a folder that has them"
    )


def detector_onnx(weights: Path, data: Path) -> Path:
    """Return RetinaFace as ONNX for the verifier, exported once for each weights file."""
    path = models_dir(data) / f"{weights.stem}-{sha256_of(weights)[:16]}-{DETECTOR_EXPORT}.onnx"
    if not path.is_file():
        from uncnn.plugins.detectors.retinaface_network import export_onnx

        path.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(weights, path)
    return path


def prepare(
    data: Path,
    surrogates: Sequence[str] | Literal["auto"],
    judges: Sequence[str] | Literal["auto"],
    licences: Sequence[str],
) -> Roster:
    """Return the models of a run, with what has to be exported first exported.

    Raises:
        ModelsError: something is missing. CardError: a model is broken.
    """
    weights = detector_weights(data)
    attacked, judging, left_out = choose(installed(data), surrogates, judges, licences)
    for model in left_out:
        if model.card.licence.use in licences:
            logger.warning("%s", uncalibrated(model.card))
    return Roster(tuple(attacked), tuple(judging), tuple(left_out), weights, detector_onnx(weights, data))
