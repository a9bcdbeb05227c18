"""`.uncnn.yaml` in a watched folder, or in one below it: the safe fields of a policy, for the photos there and below.

Whoever may put photos into the folder may put this file there too. So it cannot say where photos are published or what
they are called, choose an attack or set its parameters, let a photo or a face go unprotected, or ask for less proof.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ValidationError

from uncnn.daemon.config.checks import field_finding
from uncnn.daemon.config.document import ConfigError, Document, Problem, read
from uncnn.daemon.config.policies import FacesSection, Output, Policy, Protect, Section, Strength, once

NAME: Final = ".uncnn.yaml"

_REFUSED: Final = {
    ("attack", "name"): "a folder cannot choose an attack: do so in the configuration",
    ("output", "name"): "a folder cannot choose what photos are called: do so in the configuration",
    ("publish",): "a folder cannot choose where its photos are published: do so in the configuration",
}


class _Attack(Section):
    strength: Strength = "balanced"


class Overrides(Section):
    """What a folder may say."""

    attack: _Attack = _Attack()
    protect: Protect = Protect()
    escalate: Annotated[tuple[Strength, ...], AfterValidator(once)] = ()
    unprotected: Literal["hold"] = "hold"
    no_face: Literal["publish", "hold", "skip"] = "publish"
    faces: FacesSection = FacesSection()
    metadata: Literal["none"] = "none"
    output: Output = Output()


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
            raise ConfigError((Problem(file, 0, "", "it is no regular file: put the file itself there"),))
        yield file


def _merged(policy: Policy, document: Document) -> Policy:
    """Return the policy with what a document says put over it."""
    problems = list(document.doubled)
    try:
        said = Overrides.model_validate(document.value)
    except ValidationError as error:
        for details in error.errors():
            location, words = field_finding(details, Overrides)
            problems.append(document.problem(location, _REFUSED.get(tuple(map(str, location)), words)))
        raise ConfigError(tuple(problems)) from error
    if "name" in said.output.model_fields_set:
        problems.append(document.problem(("output", "name"), _REFUSED["output", "name"]))
    problems += _weaker(policy, said, document)
    if problems:
        raise ConfigError(tuple(problems))
    changed: Policy = _over(policy, said)
    return changed


def _weaker(policy: Policy, said: Overrides, document: Document) -> Iterator[Problem]:
    """Yield where a document asks for less proof than the policy, or leaves alone what the policy does not."""
    yield from _fewer_faces(policy, said.faces, document)
    if "no_face" in said.model_fields_set and said.no_face == "publish" != policy.no_face:
        words = f"publish lets photos go that the policy's {policy.no_face} keeps: leave it out"
        yield document.problem(("no_face",), words)
    given = said.protect.model_fields_set if "protect" in said.model_fields_set else set()
    if "far" in given and said.protect.far < policy.protect.far:
        words = f"{said.protect.far:g} asks for less proof than the policy's {policy.protect.far:g}: use that or more"
        yield document.problem(("protect", "far"), words)
    missing = [view for view in policy.protect.views if view not in said.protect.views]
    if "views" in given and missing:
        yield document.problem(("protect", "views"), f"{missing[0]!r} of the policy is missing: add it")


def _fewer_faces(policy: Policy, said: FacesSection, document: Document) -> Iterator[Problem]:
    """Yield where a document leaves faces alone that the policy cloaks."""
    given, own = said.model_fields_set, policy.faces
    order = (False, "auto", True)
    if "rotated" in given and order.index(said.rotated) < order.index(own.rotated):
        yield document.problem(
            ("faces", "rotated"), "the policy looks for rotated faces more thoroughly: leave it out, or say true"
        )
    if "smallest_px" in given and said.smallest_px > own.smallest_px:
        words = f"{said.smallest_px} leaves larger faces alone than the policy's {own.smallest_px}: use that or less"
        yield document.problem(("faces", "smallest_px"), words)
    if "who" in given and said.who not in (own.who, "all"):
        words = f"{said.who} leaves faces alone that the policy's {own.who} cloaks: use that or all"
        yield document.problem(("faces", "who"), words)


def _over(model: Any, said: BaseModel) -> Any:
    """Return `model` with the fields that were given, section by section."""
    changes = {}
    for name in said.model_fields_set:
        value, before = getattr(said, name), getattr(model, name)
        changes[name] = _over(before, value) if isinstance(value, BaseModel) else value
    return model.model_copy(update=changes)
