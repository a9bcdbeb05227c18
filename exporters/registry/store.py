"""Where models are: recognisers with their cards, and the detector.

Looked for in `$UNCNN_MODELS`, then the user's data directory, then inside the package. The first folder that has a name
wins, if that name is its own: what bears a pinned name and is something else (see `pins`) is named and passed over, and
so is a broken card.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uncnn.exporters.registry import detectors
from uncnn.exporters.registry.choice import Installed, ModelsError, choose, uncalibrated
from uncnn.exporters.registry.detectors import OWN_DETECTOR, RETINAFACE, ChosenDetector, DetectorFiles, chosen_detector
from uncnn.exporters.registry.pins import EMBEDDED, check_embedded, difference, is_proven
from uncnn.plugins.extras import require
from uncnn.plugins.recognisers.cards import Card, CardError, read_card

__all__ = [
    "EMBEDDED",
    "OWN_DETECTOR",
    "ChosenDetector",
    "DetectorFiles",
    "Installed",
    "ModelsError",
    "Place",
    "Roster",
    "choose",
    "detector_files",
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
    """A model folder on the search path, whether or not it can be used."""

    folder: Path
    card: Card | None
    problem: str = ""  # why its card cannot be read
    differs: str = ""  # how it differs from what its name is pinned to: it is not used under that name

    @property
    def name(self) -> str:
        """Return the name that its card says, or that of the folder."""
        return self.card.name if self.card else self.folder.name


@dataclass(frozen=True, slots=True)
class Roster:
    """The models of one run: what is attacked, what only judges, and what finds the faces."""

    surrogates: tuple[Installed, ...]
    judges: tuple[Installed, ...]
    left_out: tuple[Installed, ...]  # for their licence, or because they were not calibrated
    detector: ChosenDetector

    def files(self) -> list[Path]:
        """Return the folders and files that loading them reads, with what they are links to."""
        folders = [model.folder for model in (*self.surrogates, *self.judges)]
        inside = [file for folder in folders for file in folder.iterdir() if file.is_symlink()]
        own = self.detector.files
        return [path.resolve() for path in (*folders, *inside, own.weights, own.onnx)]

    def digest(self) -> str:
        """Return the sha256 of what these models are, wherever they lie: their cards hold hashes and thresholds.

        How sure a name is has no part in what becomes of a photo.
        """
        sides = (self.surrogates, self.judges)
        cards = [[model.card.model_dump_json(exclude={"confidence"}) for model in side] for side in sides]
        own, plugin = self.detector.files, self.detector.plugin
        other = [plugin, self.detector.distribution] if plugin else []
        detector = [own.weights_sha256, own.onnx_sha256, *other]
        return hashlib.sha256(json.dumps([cards, detector]).encode()).hexdigest()


def search_path(data: Path) -> list[Path]:
    """Return the folders in which models are looked for; `data` is the user's data directory."""
    parts = os.environ.get("UNCNN_MODELS", "").split(os.pathsep)
    named = [Path(os.path.expanduser(part)) for part in parts if part]  # noqa: PTH111 # which never fails
    return [*named, models_dir(data), EMBEDDED]


def models_dir(data: Path) -> Path:
    """Return the folder that models are put into: the only one that is changed."""
    return data / "models"


def places(data: Path) -> Iterator[Place]:
    """Yield every model folder on the search path, also what is broken or not what its name says."""
    for folder in search_path(data):
        for card_file in sorted(folder.glob("[!.]*/card.yaml")):
            try:
                card = read_card(card_file.parent)
            except CardError as error:
                yield Place(card_file.parent, None, problem=str(error))
            else:
                yield Place(card_file.parent, card, differs=difference(card))


def in_use(data: Path) -> dict[str, Place]:
    """Return the model folder that a run takes for each name; one that cannot be used where there is no other."""
    found: dict[str, Place] = {}
    spare: dict[str, Place] = {}
    for place in places(data):
        usable = place.card is not None and not place.differs
        (found if usable else spare).setdefault(place.name, place)
    return {**spare, **found}


def passed_over(data: Path) -> Iterator[tuple[Place, str]]:
    """Yield each folder that is not used, with the reason and what is done about it, in words."""
    taken = {place.name: place for place in in_use(data).values() if place.card is not None and not place.differs}
    for place in places(data):
        instead = taken.get(place.name)
        rest = f"{instead.folder} is used" if instead else "it is left out"
        if place.card is None:
            yield place, f"{' '.join(place.problem.split())}: {rest}"
        elif place.differs:
            yield place, f"{place.folder} is not the {place.name} that uncnn knows ({place.differs}): {rest}"


def find_file(data: Path, name: str) -> Path | None:
    """Return the first file of this name that lies in a folder of the search path."""
    return next((file for folder in search_path(data) if (file := folder / name).is_file()), None)


def installed(data: Path) -> list[Installed]:
    """Return every recogniser that can be used, by name."""
    found = {
        name: Installed(place.folder, place.card)
        for name, place in in_use(data).items()
        if place.card is not None and not place.differs
    }
    return [found[name] for name in sorted(found)]


def detector_weights(data: Path) -> Path:
    """Return the file of RetinaFace's weights that a run takes.

    Raises:
        ModelsError: there is none.
    """
    return detectors.find_weights(search_path(data), EMBEDDED)[0]


def detector_files(data: Path, convert: Callable[[Path, Path], DetectorFiles] = detectors.convert) -> DetectorFiles:
    """Return the detector that a run takes; weights that are not ours are converted first.

    Raises:
        ModelsError, DetectorError, CanaryError: there is none, or it is not sound.
    """
    return detectors.files_of(detector_weights(data), models_dir(data), convert)


def detector_onnx(weights: Path, data: Path) -> Path:
    """Return RetinaFace as ONNX for the verifier, converted once for each file of weights that is not ours."""
    return detectors.files_of(weights, models_dir(data)).onnx


def notices(data: Path) -> list[str]:
    """Return what a run says first: what lies where models are looked for and is not used, and why."""
    _, _, about_detectors = detectors.find_weights(search_path(data), EMBEDDED)
    return [*about_detectors, *_grouped([place for place, _ in passed_over(data)], data)]


def _grouped(left: Sequence[Place], data: Path) -> Iterator[str]:
    """Yield one line for all of a folder's models of one fault, and one for each card that is broken."""
    used = in_use(data)
    groups: dict[tuple[Path, str], list[str]] = {}
    for place in left:
        if place.card is None:
            yield f"left out: {' '.join(place.problem.split())}"
        else:
            groups.setdefault((place.folder.parent, place.differs), []).append(place.name)
    for (folder, differs), names in groups.items():
        alone = [name for name in names if used[name].differs]
        out = f"; left out: {', '.join(alone)}" if alone else ""
        instead = "; those of the same names that uncnn knows are used instead" if len(alone) < len(names) else ""
        yield f"{folder}: not what their names say: {', '.join(names)} ({differs}){instead}{out}"


def prepare(
    data: Path,
    surrogates: Sequence[str] | Literal["auto"],
    judges: Sequence[str] | Literal["auto"],
    licences: Sequence[str],
    detector: str = RETINAFACE,
    convert: Callable[[Path, Path], DetectorFiles] = detectors.convert,
    needed: Sequence[str] = ("torch", "onnxruntime"),
) -> Roster:
    """Return the models of a run; `convert` makes the detector's files of weights that are not ours.

    `needed` are the packages that will compute.

    Neither torch nor ONNX Runtime is imported, but by `convert`.

    Raises:
        ModelsError, UnknownDetector: something is missing, or no judge is one that may decide. PinsError: what came
            with uncnn was changed. CardError, DetectorError, CanaryError: a model is broken. MissingPackage: what
            computes is not installed.
    """
    require(*needed)
    check_embedded()
    for notice in notices(data):
        logger.warning("%s", notice)
    attacked, judging, left_out = choose(installed(data), surrogates, judges, licences)
    if not any(is_proven(model.card) for model in judging):
        names = ", ".join(model.card.name for model in judging)
        raise ModelsError(
            f"judges {names}: nobody knows the hash of what was converted here, so they judge only beside one that "
            "comes with uncnn or is yours: add dlib-resnet or openvino-0095 to models.judges, or say auto"
        )
    for model in left_out:
        if model.card.licence.use in licences:
            logger.warning("%s", uncalibrated(model.card))
    chosen = chosen_detector(detector, detector_files(data, convert))
    return Roster(tuple(attacked), tuple(judging), tuple(left_out), chosen)
