"""What a generator draws on a batch of faces, in ONNX Runtime, on a CPU: a few milliseconds a face.

The network sees each face upright, in its own frame, and draws there (`uncnn.plugins.generator.frame`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import yaml
from torch import Tensor

from uncnn.plugins.api import Faces, UncnnError
from uncnn.plugins.generator.frame import to_frame, values_of
from uncnn.plugins.generator.network import HEADS, SIDE
from uncnn.plugins.recognisers.sessions import make_session
from uncnn.plugins.recognisers.warp import warp

FILE, CARD_FILE = "onepass.onnx", "card.yaml"
INPUT: Final = "faces"
OUTPUTS: Final = tuple(f"values_{SIDE >> head}" for head in range(HEADS))
NOISE: Final = 0.1  # share of the values


class GeneratorError(UncnnError):
    """The generator's file is missing, or another than its card says."""

    fault = "model"


@dataclass(frozen=True, slots=True)
class Generator:
    """A trained generator around its ONNX Runtime session."""

    session: Any

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Generator:
        """Return the generator of a folder, on so many cores. Raises GeneratorError: its files are not sound."""
        return cls(make_session(read_generator(folder), ["CPUExecutionProvider"], threads))

    def values(self, faces: Faces, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Return the values that are drawn, (N, 3, h, w) in -1..1, for bands of these `sizes`, finest first.

        The bands are those of `uncnn.plugins.generator.frame.values_of`. A tenth of them is noise of each face's own
        seed, so that two copies of a photo differ.
        """
        matrices = to_frame(faces)
        crops = warp(faces.patches, torch.from_numpy(matrices).to(faces.patches), SIDE, SIDE).cpu().numpy()
        outputs = self.session.run(OUTPUTS, {INPUT: np.ascontiguousarray(crops, np.float32)})
        drawn = [torch.from_numpy(each).to(faces.patches) for each in outputs]
        noise = NOISE * faces.noise(0)
        bands = values_of(drawn, matrices, sizes, faces.patches)
        return [(1 - NOISE) * band + noise[:, :, : band.shape[2], : band.shape[3]] for band in bands]


def read_generator(folder: Path) -> bytes:
    """Return the bytes of the generator's file in `folder`, which are those that its card names.

    Raises:
        GeneratorError: a file is missing, or the generator is another one.
    """
    try:
        content, card = (folder / FILE).read_bytes(), yaml.safe_load((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise GeneratorError(f"the generator in {folder} cannot be read ({error}); train it anew") from error
    expected = card.get("sha256") if isinstance(card, dict) else None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise GeneratorError(f"{folder / FILE}: has the sha256 {found}, its card says {expected}; train it anew")
    return content
