"""The catalog: every model that can be pulled, where its files are, what they hash to, and what they may be used for.

The facts lie in `catalog.yaml` beside this module. They are read strictly: a misspelt key is refused, with its line.
Neither torch nor the network is needed to read it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from uncnn.plugins.api import UncnnError
from uncnn.plugins.recognisers.cards import TEMPLATES, Card, Input, Licence, Sha256

CATALOG = Path(__file__).with_name("catalog.yaml")

Format: TypeAlias = Literal["checkpoint", "mxnet", "openvino", "espdl", "onnx", "dlib"]
"""In which recognisers are published: each has a module in `exporters.convert.formats`."""

Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Pack: TypeAlias = Literal["small", "strong"]
Threshold: TypeAlias = dict[Annotated[float, Field(gt=0, lt=1)], float]


class CatalogError(UncnnError):
    """The catalog is wrong, or has no such model: the message names the key and the line, or what there is."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class File(_Strict):
    """One published file; `file` is its name here, on a mirror and in a folder given with --from."""

    file: Name
    url: Annotated[str, Field(pattern=r"^https://[^\s]+$")] | None = None
    package: str | None = None  # an installed Python package that ships it
    repository: str
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    path: str  # in the repository or the package
    sha256: Sha256 | None = None
    sha256_head: Annotated[str, Field(pattern=r"^[0-9a-f]{8,63}$")] | None = None
    bytes: PositiveInt | None = None

    @model_validator(mode="after")
    def _one_place_and_one_hash(self) -> File:
        if (self.url is None) == (self.package is None):
            raise ValueError("give either url or package")
        if (self.sha256 is None) == (self.sha256_head is None):
            raise ValueError("give either sha256 or sha256_head")
        return self

    @property
    def digest(self) -> str:
        """Return as much of its SHA-256 as is known, in lower-case hexadecimal."""
        return self.sha256 or self.sha256_head or ""


class _Entry(_Strict):
    name: Name
    family: str
    files: Annotated[tuple[File, ...], Field(min_length=1)]
    licence: Licence
    allows: str
    training_data: str
    reference: str
    packs: Annotated[tuple[Pack, ...], Field(min_length=1)]
    exercised: bool

    @property
    def size(self) -> int | None:
        """Return the bytes of all files together, where they are known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)


class RecogniserEntry(_Entry):
    """A recogniser as it was published."""

    kind: Literal["recogniser"]
    format: Format
    architecture: str | None = None
    role: Literal["surrogate", "judge"]
    input: Input
    template: Literal[*TEMPLATES]  # type: ignore[valid-type] # its names
    embedding: PositiveInt
    metric: Literal["cosine", "euclidean"]
    assumed: tuple[Literal["input", "template", "embedding", "metric"], ...] = ()
    thresholds: Threshold = Field(default_factory=dict)
    intervals: dict[Annotated[float, Field(gt=0, lt=1)], tuple[float, float]] | None = None  # 95 %, of each threshold
    margin: Annotated[float, Field(ge=0, le=1)] | None = None  # as of a card
    margin_source: str | None = None
    calibrated_on: str = "nothing yet"
    accuracy: dict[str, float] = Field(default_factory=dict)


class DetectorEntry(_Entry):
    """Weights of a detector, put among the models under the name `installs`."""

    kind: Literal["detector"]
    installs: Name


Entry: TypeAlias = RecogniserEntry | DetectorEntry


class Catalog(_Strict):
    """Every model that can be pulled, in the order of the file."""

    version: Literal[1]
    models: tuple[Annotated[Entry, Field(discriminator="kind")], ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Catalog:
        for names in ([entry.name for entry in self.models], [file.file for e in self.models for file in e.files]):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{', '.join(twice)} stands there twice")
        return self

    @property
    def detectors(self) -> list[DetectorEntry]:
        """Return the detectors among the entries."""
        return [entry for entry in self.models if isinstance(entry, DetectorEntry)]

    def named(self, names: Sequence[str]) -> list[Entry]:
        """Return the entries of these names, in this order, each once.

        Raises:
            CatalogError: the catalog has no such model.
        """
        known = {entry.name: entry for entry in self.models}
        unknown = [name for name in names if name not in known]
        if unknown:
            near = difflib.get_close_matches(unknown[0], known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise CatalogError(f"the catalog has no model {', '.join(map(repr, unknown))}: {remedy}")
        return [known[name] for name in dict.fromkeys(names)]

    def pack(self, name: Pack | Literal["all"]) -> list[Entry]:
        """Return the entries of a pack."""
        return [entry for entry in self.models if name == "all" or name in entry.packs]


@cache
def read_catalog(path: Path = CATALOG) -> Catalog:
    """Return the catalog in a YAML file.

    Raises:
        CatalogError: it cannot be read, is not YAML, or a key is missing, unknown or wrong; all of them are named.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = path.read_bytes()
        value, root = yaml.load(content, Loader=loader), yaml.compose(content, Loader=loader)
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read ({error.strerror}); install uncnn again") from error
    except yaml.YAMLError as error:
        raise CatalogError(
            f"{path}: not YAML: {' '.join(str(error).split())}; correct it or install uncnn again"
        ) from error
    try:
        return Catalog.model_validate(value)
    except ValidationError as error:
        lines = dict(_lines(root, ())) if root is not None else {}
        raise CatalogError("\n".join(_complaint(path, lines, dict(part)) for part in error.errors())) from error


def card_of(entry: RecogniserEntry) -> Card:
    """Return the card that the catalog gives; `build` fills in what it measures."""
    weights = weights_of(entry)
    shared = ("name", "family", "role", "template", "embedding", "metric", "thresholds", "calibrated_on", "accuracy")
    return Card.model_validate(
        {
            **{key: getattr(entry, key) for key in (*shared, "input", "licence", "training_data", "reference")},
            **{key: getattr(entry, key) for key in ("intervals", "margin", "margin_source")},
            "source": {
                "url": weights.url,
                "repository": weights.repository,
                "commit": weights.commit,
                "file": weights.file if weights.package else weights.path,
                "sha256": weights.sha256,
            },
            "sha256": "0" * 64,
        }
    )


def weights_of(entry: Entry) -> File:
    """Return the file of an entry that holds its weights: the largest."""
    return max(entry.files, key=lambda file: file.bytes or 0)


def _lines(node: yaml.Node, location: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the line of every value below `node`, from 1, by its location."""
    yield location, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*location, str(index)))
    elif isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            yield from _lines(item, (*location, str(key.value)))


def _complaint(path: Path, lines: dict[tuple[str, ...], int], error: dict[str, Any]) -> str:
    """Return one pydantic error as `file:line: key: what to do`; the name of a kind stands in no key."""
    parts = [str(part) for part in error["loc"] if part not in {"recogniser", "detector"}]
    line = next((lines[tuple(parts[:end])] for end in range(len(parts), -1, -1) if tuple(parts[:end]) in lines), 1)
    message = error["msg"].removeprefix("Value error, ")
    return f"{path}:{line}: {'.'.join(parts) or 'the whole file'}: {message}; correct it"
