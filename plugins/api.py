"""What a plugin is written against: a few small values and three protocols.

Nothing of uncnn is imported here, and numpy and torch only for type checkers: commands that answer at once import it.
Shapes are written (N, C, H, W); pixels are RGB grey levels in 0..255; points are x, y with the centre of the first
pixel at 0, 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

Pixels: TypeAlias = "npt.NDArray[np.uint8]"
"""A photo, (H, W, 3) uint8 RGB, upright, sRGB."""

Point: TypeAlias = tuple[float, float]

Rotated: TypeAlias = bool | Literal["auto"]
"""Whether faces are looked for that are not upright; auto: where a glance at a small copy shows one."""


Fault: TypeAlias = Literal["photo", "policy", "model", "other"]
"""Where an error lies: decides whether a photo is tried again, or its folder waits."""


class UncnnError(Exception):
    """Something a person can fix: the message names the thing, the value and the remedy."""

    fault: ClassVar[Fault] = "other"


class PluginError(UncnnError):
    """A plugin broke its contract: a wrong shape, NaN, a change outside its patch."""


def parameter(
    default: Any,
    meaning: str,
    unit: str = "",
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """Return a dataclass field that says what it is for: `plugins show` prints it, the pages are checked against it.

    Values lie above `above`, or from `least` on, up to `most`: `uncnn.plugins.parameters.check` refuses others. A
    plugin may do without, and use plain fields.
    """
    metadata = {"meaning": meaning, "unit": unit, "above": above, "least": least, "most": most}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face, in photo pixels."""

    box: tuple[float, float, float, float]  # x0, y0, x1, y1
    landmarks: tuple[Point, Point, Point, Point, Point]  # left eye, right eye, nose, left and right mouth corner
    score: float  # 0..1

    @property
    def size_px(self) -> float:
        """Return the longer side of the box in photo pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


class Detector(Protocol):
    """Finds the faces of a photo."""

    def detect(self, photo: Pixels) -> list[Face]:
        """Return the faces of `photo`, (H, W, 3) uint8 RGB, best score first, in photo pixels."""
        ...


@dataclass(frozen=True, slots=True)
class DetectorSource:
    """What a detector is made from: where it computes, and the files of the detectors that come with uncnn.

    The entry point of a detector names a function from this to a `Detector`. It is called twice: in the worker, and in
    the verifier, which looks independently and does without torch.
    """

    device: str  # auto, cpu, cuda or cuda:N; auto only in the verifier
    torch: bool  # whether it may compute in torch
    files: Mapping[str, tuple[Path, str]]  # retinaface.torch, retinaface.onnx, centerface.onnx; the sha256 of each


@dataclass(frozen=True, slots=True)
class Budget:
    """What an attack may spend on a face; the host holds it, whatever the attack returns.

    `visibility` bounds the contrast of each band of spatial frequencies at each place: that many times what is just
    seen on a phone, on a desktop, and there at twice the size. `colour` is what of that red-green and yellow-violet
    may have. `contrast` bounds luminance once more, by what the photo itself has in that band there: lines that are
    there may fade or grow, and none is drawn on smooth skin.

    Beside it holds the bound of a pixel, ``min(epsilon_255 + texture * local standard deviation, cap_255)`` grey levels
    of luma, and `chroma` times that for each of the two chroma channels. `texture` 0 gives a plain L-infinity bound of
    luma. Around each pixel the root mean square of the luma change is at most `rms` times the square root of its bound.
    `flow` bounds how far a pixel may move, as a share of the distance between the eyes.
    """

    steps: int = parameter(32, "gradients that an attack may ask for", least=1)
    epsilon_255: float = parameter(4.0, "bound where the photo is flat", "grey levels", least=0)
    texture: float = parameter(0.0, "bound added per grey level of local standard deviation", "grey levels", least=0)
    cap_255: float = parameter(16.0, "bound at most", "grey levels", least=0)
    # one bright spot shows before many faint ones do, and the more the photo varies by itself, the less: but less than
    # in proportion (contrast masking)
    rms: float = parameter(0.0, "local root mean square at most; 0: not bounded", "square root of grey levels", least=0)
    # colour shows first, and recognisers hardly need it
    chroma: float = parameter(0.1, "bound of each chroma channel", "share of the luma bound", least=0)
    # people notice other proportions from about 0.02 on
    flow: float = parameter(0.0, "how far a pixel may move", "share of the distance between the eyes", least=0)
    # ColorVideoVDP's thresholds: what masks a change and how finely it is seen are in them
    visibility: float = parameter(0.0, "contrast of each band at most; 0: not bounded", "thresholds of sight", least=0)
    colour: float = parameter(0.35, "what colours may have of that", "share", least=0, most=1)
    # what is seen is not what it means: a faint new line on a cheek is a wrinkle
    contrast: float = parameter(1.0, "of light in each band at most; 0: not bounded", "times the photo's own", least=0)


@dataclass(frozen=True, slots=True)
class Change:
    """What an attack does to each patch: every pixel is taken from where `flow` says, and `pixels` is added.

    `pixels` is (N, 3, P, P) float32 grey levels. `flow`, where there is one, is (N, 2, P, P) patch pixels, x then y: a
    smooth displacement, zero at the border.
    """

    pixels: Tensor
    flow: Tensor | None = None


class Bands(Protocol):
    """The bands of spatial frequencies of a batch of patches, and how much contrast each may have.

    Its values are a tensor a band, (N, 3, h, w): shares of the bounds, in -1..1, of luminance, red-green and
    yellow-violet contrast.
    """

    @property
    def bounds(self) -> tuple[Tensor, ...]:
        """Return the bounds of contrast, (N, 3, h, w) each; 0 where nothing may change."""
        ...

    def pixels(self, values: Sequence[Tensor]) -> Tensor:
        """Return the change, (N, 3, P, P) grey levels, that has these `values`; differentiable."""
        ...


class Faces(Protocol):
    """A batch of face patches with the bound that holds for every pixel of them."""

    @property
    def patches(self) -> Tensor:
        """Return the clean patches, (N, 3, P, P) float32 RGB in 0..255."""
        ...

    @property
    def landmarks(self) -> Tensor:
        """Return the five points of each face, (N, 5, 2) in patch pixels."""
        ...

    @property
    def luma_limits(self) -> Tensor:
        """Return the bound of each pixel's change, (N, 1, P, P) grey levels of luma."""
        ...

    @property
    def bands(self) -> Bands | None:
        """Return what each band of spatial frequencies may have; None: the budget does not bound what is seen."""
        ...

    @property
    def flow_limits(self) -> Tensor:
        """Return how far a pixel of each face may move, (N, 1, P, P) patch pixels; 0 at the border."""
        ...

    def valid(self, pixels: Tensor) -> Tensor:
        """Return the nearest change inside the budget, (N, 3, P, P); differentiable almost everywhere."""
        ...

    def valid_flow(self, flow: Tensor) -> Tensor:
        """Return `flow` (N, 2, P, P), shortened where it is longer than it may be; differentiable."""
        ...

    def moved(self, flow: Tensor) -> Faces:
        """Return the faces with their pixels moved by `flow` (N, 2, P, P); differentiable in `flow`."""
        ...

    def noise(self, stream: int) -> Tensor:
        """Return (N, 3, P, P) uniform in -1..1, a function of each face's own seed and `stream` alone."""
        ...


class Loss(Protocol):
    """What an attack minimises over a batch of faces: low means that no surrogate links a changed face to the person.

    It is asked with pictures of the faces, `inputs`, (N, 3, P, P) in 0..255: the patches with a change in them. Each
    step sees them in views of its own (moved, blurred, resized, compressed); step 0 sees them as they are. Faces that
    overlap are seen with each other's change, and a gradient is then that of all of their losses.
    """

    @property
    def targets(self) -> int:
        """Return how many identities are on offer to move to: synthetic ones, or those that the policy allows."""
        ...

    def __call__(self, inputs: Tensor, step: int) -> Tensor:
        """Return the loss of each face, (N,); differentiable."""
        ...

    def gradient(self, inputs: Tensor, step: int) -> Tensor:
        """Return the gradient of each face's own loss, (N, 3, P, P), a grey level; in bounded memory."""
        ...

    def toward(self, target: int | Tensor) -> Loss:
        """Return the loss that is low where the faces are taken for the target of this number, below `targets`.

        A tensor (N,) of whole numbers names each face's own.
        """
        ...

    def losses(self, inputs: Tensor, step: int, targets: int) -> Sequence[Tensor]:
        """Return the loss of each face, (N,), and after it that toward each of the first `targets`; differentiable.

        The recognisers look once for all of them.
        """
        return [self(inputs, step), *(self.toward(target)(inputs, step) for target in range(targets))]

    def gradients(self, inputs: Tensor, step: int, targets: int) -> Sequence[Tensor]:
        """Return the gradients of `losses`, (N, 3, P, P) each; in bounded memory."""
        return [self.gradient(inputs, step), *(self.toward(target).gradient(inputs, step) for target in range(targets))]

    def linked(self, inputs: Tensor) -> Tensor:
        """Return whether a surrogate still links each face to its person, (N,) bool: decisions, without gradients.

        The recognisers are asked as others would ask them: in ONNX Runtime, with whole grey levels.
        """
        ...


class Attack(Protocol):
    """An attack plugin: a frozen dataclass of its parameters with one method.

    It may have a property `notes`, strings that a person should read beside the photo: what it had to do without.
    """

    def perturb(self, faces: Faces, loss: Loss, budget: Budget) -> Change:
        """Return what is done to every face patch; the host clamps it to the budget."""
        ...
