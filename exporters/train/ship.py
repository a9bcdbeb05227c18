"""What the recipes write: the detector, a recogniser and the generator, with half-precision weights."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
import yaml
from safetensors.torch import save_file
from torch import fx

from uncnn.exporters.convert.build import build
from uncnn.exporters.convert.formats.torch_export import onnx_of
from uncnn.exporters.convert.half_precision import halved
from uncnn.exporters.train.trained import with_weights
from uncnn.plugins.detectors.retinaface_network import MobileNetRetinaFace
from uncnn.plugins.generator.generated import CARD_FILE, FILE, INPUT, OUTPUTS
from uncnn.plugins.generator.network import MARGIN, SIDE, BoundedGenerator, GeneratorNetwork
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


def ship_generator(
    network: GeneratorNetwork, surrogates: Sequence[Recogniser], samples: int, seed: int, destination: Path
) -> Path:
    """Write the generator and its card into `destination` and return the file.

    Raises:
        OSError: `destination` cannot be written.
    """
    destination.mkdir(parents=True, exist_ok=True)
    pictures = torch.zeros(2, 3, SIDE, SIDE)
    content = halved(onnx_of(BoundedGenerator(network.cpu()), [pictures], [INPUT], OUTPUTS)).SerializeToString()
    (destination / FILE).write_bytes(content)
    card = {
        "name": "onepass",
        "sha256": hashlib.sha256(content).hexdigest(),
        "faces": f"(N, 3, {SIDE}, {SIDE}) RGB in 0..255, the ArcFace-112 template with {MARGIN} px on every side",
        "outputs": "(N, 3, s, s), s 128, 64, 32, 16, 8: shares of the bounds of luminance, red-green, yellow-violet",
        "taught_against": [surrogate.card.name for surrogate in surrogates],
        "training_data": DATA,
        "faces_shown": samples,
        "seed": seed,
        "recipe": "exporters/train/generator.py",
        "licence": "MIT",
        "made_by": "uncnn",
    }
    (destination / CARD_FILE).write_text(yaml.safe_dump(card, sort_keys=False, width=120), encoding="utf-8")
    return destination / FILE


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
