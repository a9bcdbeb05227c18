"""What the recipes write: the detector and a recogniser with half-precision weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
from safetensors.torch import save_file
from torch import fx

from uncnn.exporters.convert.build import build
from uncnn.exporters.convert.half_precision import halved
from uncnn.exporters.train.trained import with_weights
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace
from uncnn.plugins.recognisers.cards import MODEL_FILE, Card
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

DETECTOR_FILE = "retinaface-mobilenet0.25-uncnn.safetensors"
DATA = "aligned faces of people of LFW who are in no benchmark"
CHANGED = """{name}: {teacher}, trained further by uncnn
Changed: its weights were trained so that faces altered by up to {epsilon:g} grey levels keep their embedding (the
recipe is exporters/train/robust.py of uncnn), and are stored as float16. What it was made of:
"""


def ship_detector(network: MobileNetRetinaFace, destination: Path) -> Path:
    """Write the detector's weights, float16, into `destination` and return the file."""
    destination.mkdir(parents=True, exist_ok=True)
    halved = {
        name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()
    }
    file = destination / DETECTOR_FILE
    save_file({name: value.contiguous() for name, value in halved.items()}, file, {"made_by": "uncnn.exporters.train"})
    return file


def ship_recogniser(
    network: fx.GraphModule, teacher: Recogniser, name: str, epsilon_255: float, destination: Path
) -> Path:
    """Write the folder of a hardened recogniser into `destination` and return it.

    The thresholds are the teacher's until `uncnn-daemon models calibrate` measured its own. Licence and notice are
    the teacher's, and the notice says what was changed.

    Raises:
        TrainingError, BuildError: the network is not of the teacher's graph, or what was written is not equal to it.
        OSError: `destination` cannot be written, or the teacher's folder has no LICENSE or NOTICE.
    """
    card = _card(teacher.card, name, epsilon_255)
    folder = build(halved(with_weights(onnx.load(teacher.folder / MODEL_FILE), network)), card, destination)
    shutil.copyfile(teacher.folder / "LICENSE", folder / "LICENSE")
    notice = (teacher.folder / "NOTICE").read_text(encoding="utf-8")
    changed = CHANGED.format(name=name, teacher=teacher.card.name, epsilon=epsilon_255)
    (folder / "NOTICE").write_text(f"{changed}\n{notice}", encoding="utf-8")
    return folder


def _card(teacher: Card, name: str, epsilon_255: float) -> Card:
    changes: dict[str, object] = {
        "name": name,
        "family": f"{teacher.family}; hardened to changes of {epsilon_255:g} grey levels",
        "role": "surrogate",
        "calibrated_on": f"not yet: the thresholds are those of {teacher.name}",
        "accuracy": {},
        "training_data": f"{DATA}; before that: {teacher.training_data}",
        **dict.fromkeys(("intervals", "margin", "margin_source")),
    }
    return Card.model_validate({**teacher.model_dump(), **changes})
