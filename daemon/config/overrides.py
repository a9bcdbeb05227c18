"""`.uncnn.yaml` in a watched folder, or in one below it: the safe fields of a policy, for the photos there and below.

Whoever may put photos into the folder may put this file there too. So it can only tighten the policy, field by field,
by the table in `tightening`; a file further down can only tighten what those above it left.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from uncnn.daemon.config.checks import field_finding, telling
from uncnn.daemon.config.document import ConfigError, Document, Location, Problem, read
from uncnn.daemon.config.policies import Policy
from uncnn.daemon.config.tightening import TABLE, FieldPath, Refused

NAME: Final = ".uncnn.yaml"

_UNKNOWN: Final = "a folder cannot {}: do so in the configuration"
_OTHERS: Final = {
    "publish": _UNKNOWN.format("choose where its photos are published"),
    "watch": _UNKNOWN.format("choose what is watched"),
    "policy": _UNKNOWN.format("choose another policy"),
}
"""What a folder may try to say that is no field of a policy."""


def overridden(policy: Policy, watch: Path, relative: Path) -> Policy:
    """Return the policy for the photo `relative` below `watch`: what the files on the way there say, the nearest last.

    Raises ConfigError: one of them is wrong.
    """
    for file in _files(watch, relative):
        policy = _merged(policy, read(file))
    return policy


def _files(watch: Path, relative: Path) -> Iterator[Path]:
    """Yield the files that count for a photo; what is no regular file is refused."""
    for parent in reversed(relative.parents):
        file = watch / parent / NAME
        try:
            found = file.lstat()
        except OSError:
            continue
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError((Problem(file, 0, "", "it is not a regular file: put the file itself there"),))
        yield file


def _merged(policy: Policy, document: Document) -> Policy:
    """Return the policy with what a document says put over it."""
    said, problems = _validated(policy, document)
    for place, own, value in _given(policy, said):
        objection = TABLE.get(place, Refused("set this")).objection(own, value)
        if objection:
            problems.append(document.problem(place, objection))
    if problems:
        raise ConfigError(tuple(sorted(problems, key=lambda problem: problem.line)))
    changed: Policy = _over(policy, said)
    return changed


def _validated(policy: Policy, document: Document) -> tuple[Policy, list[Problem]]:
    """Return what a document says, without the sections that are wrong in themselves, and what is wrong in them."""
    problems = list(document.doubled)
    try:
        return Policy.model_validate(document.value), problems
    except ValidationError as error:
        found = telling(error.errors())
    for details in found:
        location, words = field_finding(details, Policy)
        problems.append(document.problem(location, _refusal(policy, location, details["input"]) or words))
    wrong = {str(part) for details in found for part in details["loc"][:1]}
    whole = document.value if isinstance(document.value, dict) and wrong else {}
    return Policy.model_validate({key: value for key, value in whole.items() if str(key) not in wrong}), problems


def _refusal(policy: Policy, location: Location, value: object) -> str:
    """Return why a folder may not say anything there at all, "" where it may."""
    place = tuple(map(str, location))
    rule = TABLE.get(place)
    if isinstance(rule, Refused):
        return rule.objection(reduce(getattr, place, policy), value)
    return _OTHERS.get(place[0], "") if len(place) == 1 else ""


def _given(own: BaseModel, said: BaseModel, above: FieldPath = ()) -> Iterator[tuple[FieldPath, Any, Any]]:
    """Yield each field that a document says, with the policy's own value and the one that is said."""
    for name in type(said).model_fields:
        value, before = getattr(said, name), getattr(own, name)
        if name not in said.model_fields_set:
            continue
        if isinstance(value, BaseModel):
            yield from _given(before, value, (*above, name))
        else:
            yield (*above, name), before, value
    for name, value in (said.model_extra or {}).items():  # an attack's own parameters
        yield (*above, name), (own.model_extra or {}).get(name, "not set"), value


def _over(model: Any, said: BaseModel) -> Any:
    """Return `model` with the fields that were given, section by section."""
    changes = {}
    for name in said.model_fields_set & set(type(said).model_fields):
        value, before = getattr(said, name), getattr(model, name)
        changes[name] = _over(before, value) if isinstance(value, BaseModel) else value
    return model.model_copy(update=changes)
