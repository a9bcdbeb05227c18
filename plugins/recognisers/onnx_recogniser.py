"""A recogniser that is asked: aligned crops by Pillow, embeddings by ONNX Runtime. torch is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from uncnn.plugins import geometry
from uncnn.plugins.api import Pixels
from uncnn.plugins.recognisers.cards import Card, CardError, read_card
from uncnn.plugins.recognisers.model_files import read_model
from uncnn.plugins.recognisers.sessions import Provider, make_session

CHUNK = 16  # crops a run: bounds memory in a crowd


@dataclass(frozen=True, slots=True)
class OnnxRecogniser:
    """A recogniser in ONNX Runtime."""

    card: Card
    session: Any  # onnxruntime.InferenceSession

    @classmethod
    def load(cls, folder: Path, providers: Sequence[Provider]) -> OnnxRecogniser:
        """Return the recogniser of a model folder, made from the very bytes whose hash was checked.

        Raises:
            CardError: the card is wrong, or the file is not the one it describes or does not run.
        """
        card = read_card(folder)
        content = read_model(folder, card)
        try:
            return cls(card, make_session(content, providers))
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            words = " ".join(str(error).split())[:300]
            raise CardError(f"{folder}: does not run in ONNX Runtime ({words}); install {card.name} again") from error

    def embed(self, photo: Pixels, landmarks: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Return the embeddings, (N, D), of the faces at `landmarks` (N, 5, 2) in `photo` (H, W, 3)."""
        matrices = geometry.similarities(landmarks, np.array(self.card.template))
        size = (self.card.input.width, self.card.input.height)
        return self.outputs(np.stack([crop(photo, matrix, size) for matrix in matrices]))

    def outputs(self, crops: Pixels) -> npt.NDArray[np.float32]:
        """Return the network's own embeddings, (N, D), of aligned crops (N, height, width, 3) uint8 RGB."""
        name, prepare = self.session.get_inputs()[0].name, self.card.input.prepare
        chunks = [crops[start : start + CHUNK] for start in range(0, len(crops), CHUNK)]
        parts = [self.session.run(None, {name: prepare(chunk)})[0] for chunk in chunks]
        return np.concatenate(parts).reshape(len(crops), -1)

    def most_alike(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return of comparisons (P, N) the one of each column, (N,), that speaks most for one person; NaN is."""
        result: npt.NDArray[np.float64] = values.max(axis=0) if self.card.metric == "cosine" else values.min(axis=0)
        return result


def crop(photo: Pixels, matrix: npt.NDArray[np.float64], size: tuple[int, int]) -> Pixels:
    """Return `photo` through `matrix` (2, 3), which maps photo pixels to the crop's: bilinear, black outside.

    Equal to ``cv2.warpAffine(photo, matrix, size)`` to its interpolation rounding.
    """
    back = geometry.inverse(matrix[None])[0]
    corners = np.array([[[0, 0], [size[0], 0], [0, size[1]], [size[0], size[1]]]], dtype=np.float64)
    around = geometry.transform(back[None], corners)[0]
    left, top = np.maximum(np.floor(around.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.maximum(np.ceil(around.max(axis=0)).astype(int) + 3, 0)
    piece = photo[top:bottom, left:right]
    if piece.size == 0:
        return np.zeros((size[1], size[0], 3), np.uint8)
    linear, shift = back[:, :2], back[:, 2] - (left, top)
    shift = shift + 0.5 - 0.5 * linear.sum(axis=1)  # Pillow puts the centre of the first pixel at 0.5, 0.5
    data = (*linear[0], shift[0], *linear[1], shift[1])
    image = Image.fromarray(np.ascontiguousarray(piece))
    return np.asarray(image.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR))
