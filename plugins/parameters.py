"""The parameters of an attack, as its dataclass tells them: what they are for, and which values they take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `meaning`, `unit` and `values` are empty where a plugin says nothing of them."""

    name: str
    default: Any  # None where it has to be given
    meaning: str = ""
    unit: str = ""
    values: str = ""  # which it takes, in words


def parameters_of(kind: Any) -> list[Parameter]:
    """Return the parameters of a dataclass, ours or a stranger's."""
    return [_described(each) for each in fields(kind) if each.init]


def check(values: Any) -> None:
    """Refuse the values of a dataclass that its fields (`uncnn.plugins.api.parameter`) do not allow.

    Raises:
        ValueError: with the name, the value and what to give.
    """
    for each in fields(values):
        value = getattr(values, each.name)
        if "meaning" in each.metadata and not _allowed(value, each.default, each.metadata):
            raise ValueError(f"{each.name} {value!r}: give {_words(each.default, each.metadata)}")


def _described(each: Field[Any]) -> Parameter:
    default = each.default
    if default is MISSING:
        default = None if each.default_factory is MISSING else each.default_factory()
    metadata = each.metadata
    if "meaning" not in metadata:
        return Parameter(each.name, default)
    return Parameter(each.name, default, metadata["meaning"], metadata["unit"], _words(default, metadata))


def _allowed(value: Any, default: Any, metadata: Mapping[str, Any]) -> bool:
    if isinstance(default, bool) or not isinstance(default, int | float):
        return isinstance(value, type(default))
    wanted = int if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
        return False
    enough = (metadata["above"] is None or value > metadata["above"]) and (
        metadata["least"] is None or value >= metadata["least"]
    )
    return enough and (metadata["most"] is None or value <= metadata["most"])


def _words(default: Any, metadata: Mapping[str, Any]) -> str:
    """Return which values are allowed, in words."""
    if isinstance(default, bool):
        return "true or false"
    if not isinstance(default, int | float):
        return ""
    number = "a whole number" if isinstance(default, int) else "a number"
    above, least, most = (metadata[key] for key in ("above", "least", "most"))
    if least is not None:
        return f"{number} from {least} to {most}" if most is not None else f"{number}, {least} or more"
    words = number if above is None else f"{number} above {above}"
    return words if most is None else f"{words}, at most {most}"
