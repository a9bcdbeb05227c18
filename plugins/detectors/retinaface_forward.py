"""What runs RetinaFace's network: the form of its input, and ONNX Runtime. Never imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from uncnn.plugins.api import Pixels, UncnnError
from uncnn.plugins.detectors.retinaface_boxes import Floats, Outputs
from uncnn.plugins.recognisers.model_files import LARGEST_MODEL, check_whole
from uncnn.plugins.recognisers.reading import read_file
from uncnn.plugins.recognisers.sessions import Provider, make_session

METADATA = "uncnn.retinaface.input"  # the key in an exported file's metadata
OUTPUTS = ("boxes", "logits", "landmarks")


class DetectorError(UncnnError):
    """A detector's weights are missing, damaged, or something else."""

    fault = "model"


@dataclass(frozen=True, slots=True)
class InputFormat:
    """How the network wants its pixels: ``(pixel - mean) / std`` in this order of channels."""

    mean: tuple[float, float, float]  # grey levels, in the network's order
    std: tuple[float, float, float]
    order: Literal["RGB", "BGR"]

    def prepare(self, images: Sequence[Pixels], height: int, width: int) -> Floats:
        """Return (N, 3, height, width) from (H, W, 3) images that are no larger; what they leave is the mean, 0."""
        batch = np.zeros((len(images), 3, height, width), np.float32)
        for row, image in zip(batch, images, strict=True):
            for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
                source = image[:, :, channel if self.order == "RGB" else 2 - channel]
                target = row[channel, : image.shape[0], : image.shape[1]]
                np.subtract(source, np.float32(mean), out=target)
                if std != 1:
                    target /= np.float32(std)
        return batch

    def to_metadata(self) -> str:
        """Return this as the text that travels in an exported file."""
        return json.dumps({"mean": self.mean, "std": self.std, "order": self.order})

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> InputFormat:
        """Return the format that an exported file states.

        Raises:
            KeyError, ValueError: it states none.
        """
        fields: dict[str, Any] = json.loads(metadata[METADATA])
        mean, std = (tuple(float(value) for value in fields[name]) for name in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3 or fields["order"] not in ("RGB", "BGR"):
            raise ValueError(f"three means, three deviations and an order are needed, got {fields}")
        return cls((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), fields["order"])


def read_detector(path: Path, sha256: str | None) -> bytes:
    """Return the bytes of a detector's file, which hash to `sha256` where that is known.

    Raises:
        DetectorError: it cannot be read, or is another file.
    """
    try:
        content = read_file(path, LARGEST_MODEL)
    except OSError as error:
        raise DetectorError(f"the detector {path} cannot be read ({error.strerror}): install it again") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise DetectorError(
            f"the detector {path} has the sha256 {found}, not {sha256}: it was changed or damaged; install it again"
        )
    return content


class Forward(Protocol):
    """RetinaFace's network in some runtime."""

    @property
    def input_format(self) -> InputFormat:
        """Return what its images must look like."""
        ...

    def __call__(self, images: Floats) -> Outputs:
        """Return the network's outputs for (N, 3, H, W) prepared images, H and W multiples of 32."""
        ...


@dataclass(frozen=True, slots=True)
class OnnxForward:
    """RetinaFace's network in ONNX Runtime."""

    session: Any
    input_format: InputFormat

    def __call__(self, images: Floats) -> Outputs:
        """Return the network's outputs for (N, 3, H, W) prepared images."""
        boxes, logits, landmarks = self.session.run(OUTPUTS, {"images": images})
        return boxes, logits, landmarks


def onnx_forward(
    path: Path, providers: Sequence[Provider], threads: int | None, sha256: str | None = None
) -> OnnxForward:
    """Return the network of a file that `export_onnx` wrote, made from the very bytes whose `sha256` was checked.

    Raises:
        DetectorError: the file is missing, damaged, from elsewhere, or another than the one of this hash.
    """
    if not path.is_file():
        raise DetectorError(f"RetinaFace's ONNX file {path} is missing: export it from its weights again")
    remedy = "delete it and export it from its weights again"
    content = read_detector(path, sha256)
    try:
        check_whole(path, content)
        session = make_session(content, providers, threads)
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        raise DetectorError(f"RetinaFace's ONNX file {path} cannot be read ({error}): {remedy}") from error
    try:
        input_format = InputFormat.from_metadata(session.get_modelmeta().custom_metadata_map)
    except (KeyError, ValueError, TypeError) as error:
        raise DetectorError(f"{path} does not say what RetinaFace's input looks like: {remedy}") from error
    return OnnxForward(session, input_format)
