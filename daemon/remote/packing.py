"""Faces on their way to a server, and what it does to them on its way back: arrays as safetensors, the rest as JSON.

What comes back is believed in nothing: it is checked here, face by face, before it touches a photo.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from uncnn.plugins.api import Budget, Face, UncnnError
from uncnn.plugins.engine.patches import PATCH_PX, CutFace, Patch, Values
from uncnn.plugins.geometry import Region

MOST_FACES: Final = 64
MOST_EARLIER: Final = 64
"""Changes of faces beside those of a batch."""

_SLACK: Final = 1e-3  # grey levels, patch pixels: rounding
_BLUE: Final = 1.772  # of chroma in a channel at most (ITU-R BT.601)


class PackingError(UncnnError):
    """Bytes that are no faces, or no changes of them that the budget allows."""


@dataclass(frozen=True, slots=True)
class _Face:
    """What JSON says of a face."""

    region: Region
    size: tuple[int, int]
    photo: int
    face: Face
    seed: int
    grey: bool
    beside: tuple[Face, ...]
    earlier: tuple[Region, ...]


_FACES: Final[TypeAdapter[list[_Face]]] = TypeAdapter(list[_Face])


def pack_faces(faces: Sequence[CutFace]) -> bytes:
    """Return faces as bytes."""
    written = [
        asdict(
            _Face(
                each.region,
                each.size,
                each.photo,
                each.face,
                each.seed,
                each.grey,
                each.beside,
                tuple(region for _, region in each.earlier),
            )
        )
        for each in faces
    ]
    earlier = [change for each in faces for change, _ in each.earlier]
    none = np.zeros((0, 3, PATCH_PX, PATCH_PX), np.float32)
    arrays: dict[str, npt.NDArray[Any]] = {
        "faces": np.frombuffer(json.dumps(written).encode(), np.uint8),
        "squares": np.stack([each.square for each in faces]),
        "earlier": np.stack(earlier) if earlier else none,
    }
    return bytes(save(arrays))


def unpack_faces(packed: bytes) -> list[CutFace]:
    """Return the faces that `pack_faces` made bytes of. Raises PackingError: they are none."""
    arrays = _arrays(packed)
    try:
        known = _FACES.validate_json(_array(arrays, "faces", np.uint8, (None,)).tobytes())
    except ValidationError as error:
        raise PackingError(f"what is said of the faces is not sound: {error.error_count()} errors") from error
    number, before = len(known), sum(len(each.earlier) for each in known)
    if not 0 < number <= MOST_FACES or before > MOST_EARLIER:
        raise PackingError(f"{number} faces with {before} beside them: 1 to {MOST_FACES} can be sent at once")
    squares = _array(arrays, "squares", np.float32, (number, 3, PATCH_PX, PATCH_PX))
    earlier = _array(arrays, "earlier", np.float32, (before, 3, PATCH_PX, PATCH_PX))
    for each in known:
        if min(each.region.side, *each.size) < 1 or each.region.side > 1 << 16 or max(each.size) > 1 << 20:
            raise PackingError(f"a face of {each.region.side} px in a photo of {each.size}: there is none")
    left = iter(earlier)
    return [
        CutFace(
            square,
            each.region,
            each.size,
            each.photo,
            each.face,
            each.seed,
            each.grey,
            each.beside,
            tuple((next(left), region) for region in each.earlier),
        )
        for square, each in zip(squares, known, strict=True)
    ]


def pack_patches(patches: Sequence[Patch]) -> bytes:
    """Return what is done to faces as bytes; where they lie is known to whoever asked."""
    still = np.zeros((2, PATCH_PX, PATCH_PX), np.float32)
    arrays = {
        "changes": np.stack([each.change for each in patches]),
        "limits": np.stack([each.limits for each in patches]),
        "moved": np.array([each.flow is not None for each in patches]),
        "flows": np.stack([still if each.flow is None else each.flow for each in patches]),
    }
    return bytes(save(arrays))


def unpack_patches(packed: bytes, faces: Sequence[CutFace], budget: Budget) -> list[Patch]:
    """Return what is done to `faces`. Raises PackingError: it is not what `pack_patches` makes, or beyond `budget`."""
    arrays = _arrays(packed)
    number = len(faces)
    changes = _array(arrays, "changes", np.float32, (number, 3, PATCH_PX, PATCH_PX))
    limits = _array(arrays, "limits", np.float32, (number, 1, PATCH_PX, PATCH_PX))
    flows = _array(arrays, "flows", np.float32, (number, 2, PATCH_PX, PATCH_PX))
    moves = _array(arrays, "moved", np.bool_, (number,))
    most = budget.cap_255 * (1 + _BLUE * budget.chroma) + _SLACK
    if limits.min(initial=0) < 0 or limits.max(initial=0) > most or _at_border(limits):
        raise PackingError(f"bounds beyond {most:.0f} grey levels, or at the border of a face")
    if (np.abs(changes) > limits + _SLACK).any():
        raise PackingError("a change beyond its bounds")
    patches = []
    for face, change, limit, flow, is_moved in zip(faces, changes, limits, flows, moves, strict=True):
        eyes_px = _eyes_px(face)
        if is_moved:
            _check_flow(flow, budget.flow * eyes_px)
        patches.append(Patch(face.region, change, limit, flow if is_moved else None, eyes_px))
    return patches


def _eyes_px(face: CutFace) -> float:
    """Return the distance between the eyes in patch pixels."""
    points = np.array(face.face.landmarks, dtype=np.float64) * (PATCH_PX / face.region.side)
    return float(np.linalg.norm(points[0] - points[1]))


def _check_flow(flow: Values, most: float) -> None:
    """Refuse a flow (2, P, P) that is longer than it may be, moves the border or folds. Raises PackingError."""
    if np.hypot(*flow).max() > most + _SLACK or _at_border(flow):
        raise PackingError(f"a flow longer than {most:.2f} px, or at the border of a face")
    along_x = flow[:, :-1, 1:] - flow[:, :-1, :-1]
    along_y = flow[:, 1:, :-1] - flow[:, :-1, :-1]
    if ((1 + along_x[0]) * (1 + along_y[1]) - along_x[1] * along_y[0] <= 0).any():
        raise PackingError("a flow that folds the face over itself")


def _at_border(values: Values) -> bool:
    """Return whether anything lies on the outermost pixels, (..., P, P)."""
    return bool(values[..., [0, -1], :].any() or values[..., [0, -1]].any())


def _arrays(packed: bytes) -> dict[str, npt.NDArray[Any]]:
    try:
        return dict(load(packed))
    except (SafetensorError, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise PackingError(f"no arrays: {error}") from error


def _array(
    arrays: dict[str, npt.NDArray[Any]], name: str, kind: type[np.generic], shape: tuple[int | None, ...]
) -> npt.NDArray[Any]:
    """Return an array of this kind and shape, None being any length, of finite values. Raises PackingError."""
    found = arrays.get(name)
    if found is None or found.dtype != kind or len(found.shape) != len(shape):
        raise PackingError(f"no array {name} of {np.dtype(kind)}")
    if any(wanted not in (None, length) for wanted, length in zip(shape, found.shape, strict=True)):
        raise PackingError(f"{name} of shape {found.shape}: it should be {shape}")
    if found.dtype == np.float32 and not np.isfinite(found).all():
        raise PackingError(f"{name} that are not finite")
    return found
