"""A person's own mask: one change in the frame of the face, made beforehand, drawn at once on any picture of them.

Zhong and Deng, "OPOM: customized invisible cloak towards face privacy protection", PAMI 45(3), 2023, make one
perturbation a person that holds for all photos of that person. Departing from them: the mask has shares of what each
band of spatial frequencies may have before it shows, in place of pixels within a radius, so that it adapts to what each
picture can hide and the host's budget bounds it as it bounds `veil`. `uncnn.plugins.engine.mask_maker` makes it.

torch is imported where a mask is drawn, so that commands which only keep masks answer at once.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from uncnn.plugins.api import Change, Faces, Fault, PluginError, UncnnError

if TYPE_CHECKING:
    from torch import Tensor

FloatArray: TypeAlias = npt.NDArray[np.float32]

SIDES: Final = (128, 64, 32, 16, 8)
"""Of the heads, values a side: those of `uncnn.plugins.generator.frame`."""

FORM: Final = 1  # of the file; counts up when what is in it means something else
MOST_BYTES: Final = 1_000_000  # a mask has 65,472 values of a byte each
_STEPS: Final = 127  # a value is kept as so many steps of either sign


class MaskError(UncnnError):
    """A file is no mask, or cannot be read or written."""

    fault: ClassVar[Fault] = "model"


@dataclass(frozen=True, slots=True, eq=False)
class PersonMask:
    """What is drawn on a person's face, whatever the picture."""

    heads: tuple[FloatArray, ...]  # (3, s, s) values in -1..1 for each density, finest first
    surrogates: tuple[str, ...] = ()  # sha256 of the models that it was made against

    def __post_init__(self) -> None:
        """Refuse heads of wrong shapes, and values that are not in -1..1. Raises MaskError."""
        shapes = [head.shape for head in self.heads]
        expected = [(3, side, side) for side in SIDES]
        if shapes != expected:
            raise MaskError(f"a mask with heads of the shapes {shapes}: {expected} are needed")
        if not all(bool((np.abs(head) <= 1).all()) for head in self.heads):
            raise MaskError("a mask with values that are not in -1..1: make it anew")

    @classmethod
    def load(cls, file: Path) -> PersonMask:
        """Return the mask in a file that `save` wrote. Raises MaskError: it is none, or cannot be read."""
        try:
            with file.open("rb") as opened:
                data = opened.read(MOST_BYTES + 1)
        except OSError as error:
            raise MaskError(f"the mask in {file} cannot be read: {error}; make it anew") from error
        try:
            return cls.unpacked(data)
        except MaskError as error:
            raise MaskError(f"{file}: {error}") from error

    @classmethod
    def unpacked(cls, data: bytes) -> PersonMask:
        """Return the mask that `packed` made these bytes of. Raises MaskError: it is none."""
        if len(data) > MOST_BYTES:
            raise MaskError(f"it is no mask: more than {MOST_BYTES} bytes; make it anew")
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return cls._of(arrays)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise MaskError(f"it is no mask ({error}); make it anew") from error

    @classmethod
    def _of(cls, arrays: Any) -> PersonMask:
        """Return the mask in the arrays of a file. Raises ValueError, KeyError: it is none."""
        form = int(arrays["form"])
        if form != FORM:
            raise ValueError(f"its form is {form}, not {FORM}")
        kept = [arrays[f"values_{side}"] for side in SIDES]
        if any(each.dtype != np.int8 for each in kept):
            raise ValueError("its values are not of a byte each")
        heads = tuple((each / _STEPS).astype(np.float32).clip(-1, 1) for each in kept)
        return cls(heads, tuple(str(each) for each in arrays["surrogates"]))

    def packed(self) -> bytes:
        """Return the mask as the bytes of a file, one a value: an archive of arrays."""
        kept: dict[str, Any] = {
            f"values_{side}": np.rint(head * _STEPS).astype(np.int8)
            for side, head in zip(SIDES, self.heads, strict=True)
        }
        with io.BytesIO() as file:
            np.savez_compressed(file, form=np.int64(FORM), surrogates=np.array(self.surrogates, np.str_), **kept)
            return file.getvalue()

    def save(self, file: Path) -> None:
        """Write the mask into `file`. Raises MaskError: it cannot be written."""
        try:
            file.write_bytes(self.packed())
        except OSError as error:
            raise MaskError(f"the mask cannot be written into {file}: {error}") from error

    def change(self, faces: Faces) -> Change:
        """Return what the mask draws on each face, (N, 3, P, P) grey levels, inside the faces' budget.

        The same on each but for what that picture can hide; no recogniser is asked.

        Raises:
            PluginError: the budget does not bound what is seen.
        """
        import torch

        heads = [torch.from_numpy(head).to(faces.patches) for head in self.heads]
        return Change(faces.valid(drawn_on(faces, heads)))


def drawn_on(faces: Faces, heads: list[Tensor]) -> Tensor:
    """Return what heads, (3, s, s) each, draw on each face, (N, 3, P, P) grey levels; differentiable in `heads`.

    Raises:
        PluginError: the budget does not bound what is seen.
    """
    from uncnn.plugins.generator.frame import to_frame, values_of

    if faces.bands is None:
        raise PluginError("a mask is drawn in bands of what is seen: give the budget a visibility above 0")
    count = len(faces.patches)
    sizes = [(bound.shape[2], bound.shape[3]) for bound in faces.bands.bounds]
    drawn = [head.expand(count, *head.shape) for head in heads]
    return faces.bands.pixels(values_of(drawn, to_frame(faces), sizes, faces.patches))
