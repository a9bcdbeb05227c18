"""The card of a recogniser: what `card.yaml` says about the `model.onnx` that lies beside it.

A recogniser is a folder with these two files. The card is checked once, when it is read, and holds all that is needed
to feed the network and to judge what comes out. torch is not imported here: the verifier and the status command read
cards too.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from uuid import uuid4

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from uncnn.plugins.api import Pixels, Point, UncnnError
from uncnn.plugins.recognisers.confidence import Confidence
from uncnn.plugins.recognisers.reading import read_file

if TYPE_CHECKING:  # a command that uses the running service's models would wait for numpy longer than for its answer
    import numpy as np
    import numpy.typing as npt

DEFAULT_MARGIN = 0.05
"""Of a recogniser whose card has none: wider than any that was measured (docs/models.md, Margins)."""

CARD_FILE = "card.yaml"
MODEL_FILE = "model.onnx"
"""Only where torch cannot be given the ONNX graph: the same network by torch.export, for the attack alone."""

LARGEST_CARD = 64 * 1024  # bytes: ours have about one thousand
DEEPEST_CARD = 8
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(yaml.SafeDumper):
    """Writes a list in one line: a card has many of numbers."""


_Dumper.add_representer(
    list, lambda dumper, values: dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)
)

Points: TypeAlias = tuple[Point, Point, Point, Point, Point]
Triple: TypeAlias = tuple[float, float, float]
Embeddings: TypeAlias = "npt.NDArray[np.float32]"
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Rate: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Metric: TypeAlias = Literal["cosine", "euclidean"]
Intervals: TypeAlias = dict[Rate, tuple[float, float]]

TEMPLATES: dict[str, Points] = {
    "arcface-112": ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)),
    "sphereface-112x96": (
        (30.2946, 51.6963),
        (65.5318, 51.5014),
        (48.0252, 71.7366),
        (33.5493, 92.3655),
        (62.7299, 92.2041),
    ),
    "openvino-128": ((40.393, 59.081), (87.376, 59.081), (64.034, 81.985), (44.732, 105.561), (83.640, 105.561)),
    "dlib-150": ((47.40, 46.59), (101.93, 46.23), (75.40, 78.27), (51.18, 103.87), (97.35, 103.74)),
}
"""Left eye, right eye, nose, left and right mouth corner, x and y in input pixels."""


def template_size(name: str) -> tuple[int, int]:
    """Return the height and width of the input that a named template is for: the name says them."""
    rows, _, columns = name.partition("-")[2].partition("x")
    return int(rows), int(columns or rows)


class CardError(UncnnError):
    """A card or its model cannot be used: the message names the file, the key, the value and the remedy."""

    fault = "model"


class _Strict(BaseModel):
    """A part of a card: it never changes, and a misspelt key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Input(_Strict):
    """What the network is fed: (N, 3, height, width) float32, (pixel - mean) / std, pixels in 0..255."""

    height: PositiveInt
    width: PositiveInt
    order: Literal["RGB", "BGR"]
    mean: Triple  # in the order of `order`
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]

    def prepare(self, crops: Pixels) -> Embeddings:
        """Return what the network is fed, (N, 3, H, W) float32, of aligned crops (N, H, W, 3) uint8 RGB."""
        import numpy as np

        ordered = crops[..., ::-1] if self.order == "BGR" else crops
        normal = (ordered.astype(np.float64) - np.array(self.mean)) / np.array(self.std)
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2), dtype=np.float32)


class Source(_Strict):
    """Where the weights came from; `sha256` is that of the upstream file."""

    url: str | None = None
    repository: str | None = None
    commit: str | None = None
    file: str | None = None
    sha256: Sha256 | None = None


class Licence(_Strict):
    """The licence of the weights, and whether it allows any use or research alone."""

    name: str
    use: Literal["permissive", "research"]


class Card(_Strict):
    """A recogniser: its input, its metric, its thresholds by false accept rate, and where it came from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    family: str
    role: Literal["surrogate", "judge"]
    input: Input
    template: Points
    embedding: PositiveInt
    metric: Metric
    thresholds: dict[Rate, float]
    intervals: Intervals | None = None  # 95 % confidence, of each threshold
    calibrated_on: str
    accuracy: dict[str, float] = Field(default_factory=dict)
    parity: Annotated[float, Field(ge=0)] | None = None  # largest |torch - onnxruntime|
    source: Source | None = None
    sha256: Sha256  # of model.onnx
    margin: Annotated[float, Field(ge=0, le=1)] | None = None  # see `Card.links`; None: DEFAULT_MARGIN
    margin_source: str | None = None  # what it was measured on
    confidence: Confidence | None = None  # None: its scores say nothing of how sure a name is
    training_data: str = "not stated"
    licence: Licence
    reference: str | None = None

    @field_validator("template", mode="before")
    @classmethod
    def _named_template(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        if value not in TEMPLATES:
            raise ValueError(f"use five points or one of {', '.join(TEMPLATES)}")
        size = info.data.get("input")  # absent where it is wrong itself
        if isinstance(size, Input) and (size.height, size.width) != template_size(value):
            raise ValueError(f"it is for another input than {size.height} x {size.width} (height x width)")
        return TEMPLATES[value]

    @field_validator("template")
    @classmethod
    def _template_inside_input(cls, points: Points, info: ValidationInfo) -> Points:
        size = info.data.get("input")
        if isinstance(size, Input) and not all(0 <= x < size.width and 0 <= y < size.height for x, y in points):
            raise ValueError(f"every point must lie inside the input, {size.height} x {size.width} (height x width)")
        return points

    @field_validator("thresholds")
    @classmethod
    def _thresholds_in_order(cls, thresholds: dict[float, float], info: ValidationInfo) -> dict[float, float]:
        metric, values = info.data.get("metric"), [thresholds[far] for far in sorted(thresholds)]
        if metric == "cosine" and (values != sorted(values, reverse=True) or not all(-1 <= v <= 1 for v in values)):
            raise ValueError("cosine thresholds must lie in -1..1 and fall as the false accept rate rises")
        if metric == "euclidean" and (values != sorted(values) or not all(v > 0 for v in values)):
            raise ValueError("euclidean thresholds must be positive and rise with the false accept rate")
        return thresholds

    @field_validator("intervals")
    @classmethod
    def _intervals_hold_thresholds(cls, intervals: Intervals | None, info: ValidationInfo) -> Intervals | None:
        thresholds = info.data.get("thresholds")  # absent where they are wrong themselves
        for far, (low, high) in (intervals or {}).items():
            if thresholds is not None and (far not in thresholds or not low <= thresholds[far] <= high):
                raise ValueError(f"that of {rate_text(far)} must hold the threshold at that rate, lower end first")
        return intervals

    @field_serializer("thresholds", "intervals", when_used="json")
    def _rates_as_written(self, values: dict[float, Any] | None) -> dict[str, Any] | None:
        return None if values is None else {rate_text(far): values[far] for far in sorted(values, reverse=True)}

    def threshold(self, far: float) -> float:
        """Return the threshold at the false accept rate `far`.

        Where `far` was not calibrated, the next larger rate stands in: it calls more pairs the same person, so it is
        harder to be protected from.

        Raises:
            CardError: no rate of `far` or more was calibrated.
        """
        rates = [rate for rate in self.thresholds if rate >= far * (1 - 1e-9)]  # 0.1**3 is a hair above 1e-3
        if not rates:
            known = ", ".join(rate_text(rate) for rate in sorted(self.thresholds, reverse=True)) or "none"
            raise CardError(
                f"{self.name}: thresholds: no false accept rate of {rate_text(far)} or more was calibrated "
                f"(calibrated: {known}); ask for one of these, or calibrate the recogniser and add it to its card"
            )
        return self.thresholds[min(rates)]

    def matches(self, value: float, far: float) -> bool:
        """Return whether a similarity or distance of `value` links two faces at the false accept rate `far`.

        NaN links them: what cannot be told is never called protected.

        Raises:
            CardError: no rate of `far` or more was calibrated.
        """
        return self.links(value, far, 0.0)

    @property
    def kind(self) -> str:
        """Return the first word of the family: networks of one kind are taken for one family."""
        return re.split(r"[^A-Za-z0-9-]", self.family.strip(), maxsplit=1)[0].lower()

    def links(self, value: float, far: float, margin: float) -> bool:
        """Return whether `value` links two faces at the rate `far`, or is nearer to that than `margin` allows.

        The distance that `value` stands for must be larger than that of the threshold, by `margin` as a share of it.
        NaN links them.

        Raises:
            CardError: no rate of `far` or more was calibrated.
        """
        limit = (1 + margin) * distance(self.metric, self.threshold(far))
        return not distance(self.metric, value) > limit


def margin_of(card: Card, asked: float | Literal["calibrated"]) -> float:
    """Return the margin that is `asked` of a recogniser: a number, or the one that it was calibrated with."""
    if asked != "calibrated":
        return asked
    return DEFAULT_MARGIN if card.margin is None else card.margin


def distance(metric: Metric, value: float) -> float:
    """Return the distance of two embeddings: of unit length, sqrt(2 (1 - cosine)), or the Euclidean one itself."""
    return math.sqrt(max(2 * (1 - value), 0.0)) if metric == "cosine" and not math.isnan(value) else value


def value_at(metric: Metric, far_apart: float) -> float:
    """Return the cosine or Euclidean distance that stands for a distance: the inverse of `distance`."""
    return 1 - far_apart**2 / 2 if metric == "cosine" else far_apart


def rate_text(rate: float) -> str:
    """Return 0.001 as `1e-3`, and any rate so that it reads back to the same float."""
    mantissa, exponent = f"{rate:e}".split("e")
    text = f"{float(mantissa):g}e{int(exponent)}"
    return text if float(text) == rate else repr(rate)


def compare(card: Card, a: Embeddings, b: Embeddings) -> npt.NDArray[np.float64]:
    """Return the cosine similarity or Euclidean distance, (N,), of embeddings (N, D) and (N, D), row by row.

    Raises:
        UncnnError: a result is not finite, so the recogniser gave NaN, infinity or a zero vector.
    """
    import numpy as np

    left, right = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        if card.metric == "euclidean":
            values = np.linalg.norm(left - right, axis=1)
        else:
            lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
            values = np.sum(left * right, axis=1) / lengths
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise UncnnError(
            f"{card.name}: the {card.metric} comparison of face {row} is {values[row]}: the recogniser gave a zero or "
            "not finite embedding; run `uncnn-daemon models check`, or leave it out of `models` in config.yaml"
        )
    return np.asarray(values, dtype=np.float64)


def read_card(folder: Path) -> Card:
    """Return the card of the recogniser in `folder`; its model is not opened, see `check_model`.

    Raises:
        CardError: there is no card, it is not YAML, or a key is missing, unknown or wrong; all of them are named.
    """
    path = folder / CARD_FILE
    try:
        return Card.model_validate(_plain_values(read_file(path, LARGEST_CARD)))
    except OSError as error:
        raise CardError(
            f"{path}: cannot be read ({error.strerror}); a recogniser is a folder with {MODEL_FILE} and {CARD_FILE}"
        ) from error
    except ValidationError as error:
        raise CardError("\n".join(f"{path}: {_complaint(dict(part))}" for part in error.errors())) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: `!!int twelve`
        words = " ".join(str(error).split())[:300]
        raise CardError(f"{path}: not YAML: {words}; correct it or install it again") from error


def _plain_values(content: bytes) -> object:
    """Return what YAML says: no aliases, which make a small file endless, and no depth, which overflows a stack.

    Raises:
        YAMLError: it is no YAML, or not as plain as a card.
    """
    depth = 0
    for event in yaml.parse(content, Loader=_SAFE):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"it uses the alias *{event.anchor}, and a card is written out in full")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_CARD:
            raise yaml.YAMLError(f"it is nested deeper than {DEEPEST_CARD} levels")
    values: object = yaml.load(content, Loader=_SAFE)
    return values


def _complaint(error: dict[str, Any]) -> str:
    """Return one pydantic error as `key: value: what to do`."""
    key = ".".join(str(part) for part in error["loc"]) or "the whole file"
    if error["type"] == "missing":
        return f"{key}: missing; add it"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; remove it or correct its spelling"
    return f"{key}: {reprlib.repr(error['input'])}: {error['msg'].removeprefix('Value error, ')}; correct it"


def write_card(card: Card, folder: Path) -> None:
    """Write `card` into `folder`, whole or not at all; `read_card` gives an equal card back.

    Raises:
        OSError: the folder is missing, cannot be written or is full.
    """
    content = card.model_dump(mode="json", exclude_none=True)
    temporary = folder / f".{CARD_FILE}.{uuid4().hex}.tmp"
    try:
        with temporary.open("x", encoding="utf-8") as stream:
            yaml.dump(content, stream, _Dumper, sort_keys=False, allow_unicode=True, width=120)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(folder / CARD_FILE)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in lower-case hexadecimal.

    Raises:
        OSError: the file is missing or cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_model(folder: Path, card: Card) -> None:
    """Check that the model in `folder` is the very file that `card` was written for.

    Raises:
        CardError: the model is missing, cannot be read or has another SHA-256.
    """
    _check_file(folder / MODEL_FILE, card, card.sha256)


def _check_file(path: Path, card: Card, expected: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise CardError(f"{path}: cannot be read ({error.strerror}); install {card.name} again") from error
    if found != expected:
        raise CardError(
            f"{path}: its sha256 is {found}, but {path.with_name(CARD_FILE)} says {expected}: the model was changed or "
            f"damaged; install {card.name} again"
        )
