"""Any recogniser that is ONNX already, brought into the one form: float32, with a dynamic batch.

What the graph does to grey levels itself stays in it, and so does an order of channels: `describe` says what can be
seen of both, and the card must fit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from onnx import ModelProto

from uncnn.exporters.convert.formats import FormatError, only_file
from uncnn.exporters.convert.formats.onnx_entry import Entry, entry_of
from uncnn.exporters.convert.formats.onnx_form import in_form
from uncnn.exporters.convert.formats.onnx_read import read_onnx
from uncnn.plugins.recognisers.sessions import make_session

TOLERANCE = 1e-4  # of unit embeddings: a dynamic batch and float32 must not change them
HALF_TOLERANCE = 2e-2  # the same where the file computes in float16, which rounds at each step


@dataclass(frozen=True, slots=True)
class OnnxDescription:
    """What an ONNX file shows of a recogniser: what a card needs and cannot be asked of the file stays to be asked."""

    height: int
    width: int
    layout: Literal["NCHW", "NHWC"]
    embedding: int
    normalises_inside: bool  # scales or shifts grey levels before its first filter: the card's mean is 0 and std 1
    dynamic: bool  # takes batches of any size as it is
    mean: float | None = None  # grey levels that it takes off, where one number can be read
    std: float | None = None  # grey levels that it divides by, where one number can be read
    swaps_channels: bool = False  # turns RGB and BGR into each other before its first filter


def convert(files: Sequence[Path], architecture: str | None = None) -> ModelProto:
    """Return the recogniser in an ONNX file as (N, 3, H, W) float32 -> (N, D) float32.

    Args:
        files: the one file.
        architecture: height and width as `112x112`, where the graph takes pictures of any size.

    Raises:
        FormatError: it is no ONNX file, or not of one picture in and one embedding out.
    """
    return _converted(only_file(files, "an ONNX model"), architecture)[0]


def describe(path: Path, size: str | None = None) -> OnnxDescription:
    """Return what the ONNX file at `path` shows of its input and its embedding.

    Args:
        path: the file.
        size: height and width as `112x112`, where the graph takes pictures of any size.

    Raises:
        FormatError: as `convert`.
    """
    model, entry = _converted(path, size)
    length = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    return OnnxDescription(
        height=entry.height,
        width=entry.width,
        layout=entry.layout,
        embedding=length,
        normalises_inside=entry.applied is not None,
        dynamic=entry.batch is None,
        mean=entry.mean,
        std=entry.std,
        swaps_channels=entry.swaps_channels,
    )


def _converted(path: Path, size: str | None) -> tuple[ModelProto, Entry]:
    original = read_onnx(path)
    entry = entry_of(path, original, _side(size))
    model = in_form(path, original, entry)
    _check_unchanged(path, original, model, entry)
    return model, entry


def _side(size: str | None) -> tuple[int, int] | None:
    if size is None:
        return None
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", size)
    if found is None:
        raise FormatError(f"architecture {size!r} of an ONNX file is its height and width: write 112x112")
    return int(found[1]), int(found[2])


def _check_unchanged(path: Path, original: ModelProto, model: ModelProto, entry: Entry) -> None:
    """Set the embedding's length from a run, and compare with the file as it was, on as many pictures as it takes."""
    count = entry.batch or 3
    smooth = np.random.default_rng(0).normal(size=(3 * count, 3, 8, 8)).astype(np.float32)
    rows, columns = (np.arange(side) * 8 // side for side in (entry.height, entry.width))
    pictures = smooth[:, :, rows][:, :, :, columns] * (100 if entry.applied else 1)
    inputs = pictures if entry.layout == "NCHW" else np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))
    providers = ["CPUExecutionProvider"]
    try:
        before = make_session(original.SerializeToString(), providers)
        kind = np.float16 if entry.half else np.float32
        parts = [inputs[start : start + count].astype(kind) for start in range(0, 3 * count, count)]
        expected = np.concatenate([before.run([entry.output], {entry.input: part})[0] for part in parts])
        found = make_session(model.SerializeToString(), providers).run(["embedding"], {"input": pictures})[0]
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        words = " ".join(str(error).split())[:300]
        raise FormatError(f"{path}: does not run with a batch of any size ({words}); export it with one") from error
    expected = expected.reshape(len(expected), -1).astype(np.float32)
    if found.shape != expected.shape or found.shape[1] < 2:
        raise FormatError(
            f"{path}: gives {found.shape[1:]} numbers a picture for a batch of {len(found)} and {expected.shape[1:]} "
            f"for one of {count}; export it with a dynamic batch"
        )
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = found.shape[1]
    one, other = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (found, expected))
    difference = float(np.nan_to_num(np.abs(one - other), nan=np.inf).max())
    if difference > (HALF_TOLERANCE if entry.half else TOLERANCE):
        raise FormatError(
            f"{path}: its embeddings change by {difference:.1e} with the size of the batch; export it with a "
            "dynamic batch"
        )
