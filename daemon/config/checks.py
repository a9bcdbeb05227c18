"""What makes a configuration wrong, in words: pydantic's findings, and what only several fields together show.

Folders are compared where they really are, behind links, because that is where files would go round in circles.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from uncnn.daemon.config.document import Location
from uncnn.daemon.files.folders import FolderError, named
from uncnn.daemon.text import printable

Finding: TypeAlias = tuple[Location, str]

_WANTED: Final = {
    "model_type": "it should be a section of keys",
    "dict_type": "it should be a section of keys",
    "tuple_type": "it should be a list: [one, two]",
    "string_type": "it should be text: put it in quotes",
    "path_type": "it should be a path",
    "bool_type": "it should be true or false",
    "int_type": "it should be a whole number",
    "float_type": "it should be a number",
    "too_short": "it should have at least one",
    "string_too_short": "it should not be empty",
}

_VARIABLE: Final = re.compile(r"\$[A-Za-z_]\w*|\$\{\w+\}|%\w+%")
"""A part of a path that a shell would fill in: $HOME, ${USER}, %USERPROFILE%."""


def expand(text: str, base: Path) -> Path:
    """Return a folder of the configuration as an absolute path: `~` is the home, others are relative to `base`.

    Raises ValueError where the text is empty, names the home of an unknown user, or a variable that is not filled in.
    """
    if not text.strip() or "\0" in text:
        raise ValueError(f"{text!r} is not a path of a folder: give one")
    try:
        path = Path(text)
        expanded = named(path if text.startswith("~") else base / path)
    except FolderError as error:
        raise ValueError(str(error)) from error
    variable = next(filter(_VARIABLE.fullmatch, path.parts), None)
    if variable is not None and not os.path.lexists(expanded):
        remedy = "write ~ for your home folder, or the full path"
        raise ValueError(f"{printable(text)!r}: {variable} is not replaced in this file; {remedy}")
    return expanded


def field_finding(error: ErrorDetails, model: type[BaseModel]) -> Finding:
    """Return where a pydantic error is and what it says: what was found, and the remedy."""
    location: Location = tuple(part for part in error["loc"] if part != "[key]")
    found, kind = error["input"], error["type"]
    if kind == "extra_forbidden":
        return location, f"unknown key: {_remedy(str(location[-1]), location[:-1], model)}"
    if kind == "missing":
        return location, "is missing: add it"
    if kind == "value_error":
        return location, str(error.get("ctx", {}).get("error", error["msg"]))
    wanted = _WANTED.get(kind) or error["msg"].replace("Input should", "it should")
    return location, f"found {_shortened(found)}; {wanted}"


def _shortened(found: object) -> str:
    text = printable(str(found)) if isinstance(found, BaseModel) else printable(repr(found))
    return text if len(text) <= 60 else f"{text[:57]}..."


def telling(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors without those of lists that are too short only since their items are wrong."""
    lists = {error["loc"][:-1] for error in errors}
    return [error for error in errors if error["type"] != "too_short" or error["loc"] not in lists]


def _remedy(name: str, section: Location, model: type[BaseModel]) -> str:
    """Return what to do about a key that its section does not have: a slip of the pen, or the wrong place."""
    homes = _homes(model)
    elsewhere = next((where for known, where in homes if known == name and where), None)
    if elsewhere:
        return f"it belongs under {elsewhere[-1]!r}"
    own = [known for known, where in homes if where == _kinds(section)]
    near = difflib.get_close_matches(name, own, n=1) or [known for known in own if name in known.split("_")]
    return f"did you mean {near[0]!r}?" if near else "remove it"


def _kinds(location: Location) -> tuple[str, ...]:
    """Return a location without what a person chose: the names of policies and the numbers of folders."""
    parts = tuple(part for part in location if isinstance(part, str))
    return (parts[0], *parts[2:]) if parts[:1] == ("policies",) else parts


def _homes(model: type[BaseModel], above: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...]]]:
    """Return the names of every field of a model and of the models below it, each with the sections that it is in."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for name, field in model.model_fields.items():
        found.append((name, above))
        waiting: list[Any] = [field.annotation]
        while waiting:
            kind = waiting.pop()
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found += _homes(kind, (*above, name))
            waiting += getattr(kind, "__args__", ())
    return found


@dataclass(frozen=True, slots=True)
class _Pair:
    """The folders of one entry, where they really are."""

    index: int
    watch: Path | None
    publish: Path | None


def folder_findings(value: Any, base: Path, policies: set[str], default_policy: str) -> Iterator[Finding]:
    """Yield what is wrong between folders and policies, whatever else may be wrong in the values.

    `value` is the document as read; `base` the folder that paths are relative to.
    """
    entries = value.get("folders") if isinstance(value, dict) else None
    listed = entries if isinstance(entries, list) else []
    numbered = [(index, entry) for index, entry in enumerate(listed) if isinstance(entry, dict)]
    for index, entry in numbered:
        policy = entry.get("policy", default_policy)
        if isinstance(policy, str) and policy not in policies:
            known = ", ".join(sorted(policies)) or "none"
            yield ("folders", index, "policy"), f"there is no policy {policy!r}: use one of {known}, or add it"
    pairs = [_Pair(index, *(_real(entry.get(key), base) for key in ("watch", "publish"))) for index, entry in numbered]
    yield from _overlaps(pairs)
    for pair in pairs:
        for other in pairs:
            yield from _circles(pair, other)


def _real(text: object, base: Path) -> Path | None:
    """Return where a folder of the configuration really is, or None where the text is none."""
    try:
        return Path(os.path.realpath(expand(text, base))) if isinstance(text, str) else None
    except (ValueError, OSError):
        return None


def _overlaps(pairs: list[_Pair]) -> Iterator[Finding]:
    for first, second in combinations(pairs, 2):
        if first.watch and second.watch and (_inside(first.watch, second.watch) or _inside(second.watch, first.watch)):
            message = f"{printable(second.watch)} and folders[{first.index}].watch overlap: watch each photo once"
            yield ("folders", second.index, "watch"), message


def _circles(pair: _Pair, other: _Pair) -> Iterator[Finding]:
    """Yield where what `pair` publishes would be watched by `other`."""
    if not pair.publish or not other.watch:
        return
    if _inside(pair.publish, other.watch):
        message = f"{printable(pair.publish)} is watched by folders[{other.index}]: publish outside of watched folders"
        yield ("folders", pair.index, "publish"), message
    elif _inside(other.watch, pair.publish):
        place = f"{printable(other.watch)} lies in the publish folder of folders[{pair.index}]"
        yield ("folders", other.index, "watch"), f"{place}: watch a folder outside of it"


def _inside(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder)
