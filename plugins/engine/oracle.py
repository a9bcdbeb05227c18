"""Decisions of the recognisers, as an adversary's own program would make them: for attacks that need no gradients."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from uncnn.plugins.api import Pixels
from uncnn.plugins.engine.batch import FaceBatch
from uncnn.plugins.recognisers.cards import compare
from uncnn.plugins.recognisers.onnx_recogniser import OnnxRecogniser
from uncnn.plugins.recognisers.torch_recogniser import Recogniser

FAR = 1e-3  # whose thresholds decide


class Oracle:
    """Tells whether any of some recognisers links a picture of a face to the face's own patch.

    They are asked in ONNX Runtime, on whole grey levels, at each card's threshold at FAR 1e-3.
    """

    def __init__(self, recognisers: Sequence[Recogniser], faces: FaceBatch) -> None:
        self._asked = [_asked(recogniser.folder, recogniser.card.sha256) for recogniser in recognisers]
        self._points = faces.points
        self._own = [_embedded(asked, _whole(faces.patches), self._points) for asked in self._asked]

    def linked(self, inputs: Tensor) -> Tensor:
        """Return whether each picture of `inputs` (N, 3, P, P) in 0..255 is linked, (N,) bool."""
        pictures = _whole(inputs)
        decided = np.zeros(len(pictures), dtype=bool)
        for asked, own in zip(self._asked, self._own, strict=True):
            for number in np.flatnonzero(~decided):
                one = slice(number, number + 1)
                alike = compare(asked.card, own[one], _embedded(asked, pictures[one], self._points[one]))
                decided[number] = asked.card.matches(float(alike[0]), FAR)
        return torch.from_numpy(decided).to(inputs.device)


def _embedded(asked: OnnxRecogniser, pictures: Pixels, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    pairs = zip(pictures, points, strict=True)
    return np.concatenate([asked.embed(picture, own[None]) for picture, own in pairs])


@functools.lru_cache(maxsize=32)
def _asked(folder: Path, _sha256: str) -> OnnxRecogniser:
    return OnnxRecogniser.load(folder, ["CPUExecutionProvider"])


def _whole(pictures: Tensor) -> Pixels:
    """Return pictures as (N, P, P, 3) uint8."""
    array: Pixels = pictures.clamp(0, 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array
