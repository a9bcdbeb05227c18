"""What is to be evaluated: whose photos, how strongly cloaked, seen how, hidden among whom."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from uncnn.daemon.evaluate.synthetic import LEAST
from uncnn.daemon.text import printable
from uncnn.exporters.calibration.faces import photos_in
from uncnn.plugins.api import UncnnError

UNCLOAKED: Final = "none"
"""The strength that changes nothing: the photo is only encoded anew, as the others are. What was before."""

AS_INSTALLED: Final = "as-installed"
"""The strength that the default policy chooses for each face, verdict and all: what would be published."""

STRENGTHS: Final = ("subtle", "balanced", "strong")
VIEWS: Final = ("as-is", "jpeg-75", "half-size")
QUALITY: Final = 90
LEAST_PHOTOS: Final = 2  # of a person: a match is between two photos
LEAST_PEOPLE: Final = 2  # nobody can be told apart from nobody
SURE: Final = 10  # pairs of strangers that are linked at a threshold: as many as a card asks for
_NAMED: Final = 3  # people in a message


class EvaluationError(UncnnError):
    """Photos that cannot be evaluated: the message names what is wrong and the remedy."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, and the photos of them."""

    name: str
    photos: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class JudgeCommand:
    """A program that judges from outside."""

    command: tuple[str, ...]
    name: str = ""  # put before the names of its judges

    @classmethod
    def of(cls, text: str) -> JudgeCommand:
        """Return what the command line says: `COMMAND` or `NAME=COMMAND`. Raises EvaluationError: it is neither."""
        found = re.fullmatch(r"(?:([A-Za-z0-9._-]+)=)?(.*)", text, re.DOTALL)
        try:
            words = shlex.split(found[2]) if found else []
        except ValueError as error:
            raise EvaluationError(f"--judge-command {text!r}: {error}: quote it as a shell does") from error
        if not words or found is None:
            raise EvaluationError(f"--judge-command {text!r}: give a command, or NAME=COMMAND")
        return cls(tuple(words), found[1] or "")

    def __str__(self) -> str:
        """Return it as it is named in messages."""
        return f"--judge-command {printable(self.name or shlex.join(self.command))}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that an evaluation goes by besides the settings of the run."""

    folder: Path
    people: tuple[Person, ...]
    distractors: tuple[Path, ...]  # photos of others
    strengths: tuple[str, ...]  # without UNCLOAKED
    views: tuple[str, ...]
    far: float
    quality: int = QUALITY  # of the JPEG that is published
    strangers: tuple[str, ...] = ()  # who is on each distractor
    judge_models: Path | None = None  # a folder of recognisers that judge from outside
    commands: tuple[JudgeCommand, ...] = ()
    synthetic: int = 0  # distractors that are drawn, beside the photos
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # as in `groups`

    @property
    def as_installed(self) -> bool:
        """Return whether it is evaluated what the default policy would publish."""
        return self.strengths == (AS_INSTALLED,)

    @property
    def photos(self) -> int:
        """Return how many photos of the people there are."""
        return sum(len(person.photos) for person in self.people)

    @property
    def doubt(self) -> str:
        """Return in words that the thresholds of programs are unsure, "" where they are not or there are none."""
        asked, wanted = len(set(self.strangers)), people_for(self.far / SURE)
        if not self.commands or asked >= wanted:
            return ""
        pairs = asked * (asked - 1) // 2
        told = max(round(pairs * self.far), 1)
        return (
            f"from where on a program links two photos is told by the {told} most alike of {pairs:,} pairs of "
            f"distractors, and may be far off: give photos of {wanted} people or more with --distractors"
        )


def make_plan(
    folder: Path,
    *,
    strengths: Sequence[str] = STRENGTHS,
    views: Sequence[str] = VIEWS,
    far: float = 1e-3,
    quality: int = QUALITY,
    photos: int | None = None,
    people: int | None = None,
    distractors: Path | None = None,
    judge_models: Path | None = None,
    commands: Sequence[JudgeCommand] = (),
    synthetic: int = 0,
) -> Plan:
    """Return the plan for a folder that holds a folder of photos a person.

    `photos` is how many of each person at most; `people` how many, spread over the folder, those who have that many
    photos first. People of the folder are not their own distractors: of the same name, they are left out there.

    Raises:
        FacesError: a folder cannot be read. EvaluationError: there are too few people or photos.
    """
    chosen = _chosen(folder, _by_person(folder), photos, people)
    names = {person.name for person in chosen}
    others = _by_person(distractors) if distractors else {}
    strangers = [(photo, name) for name, own in others.items() if name not in names for photo in own]
    if distractors and not strangers:
        raise EvaluationError(
            f"{printable(distractors)}: no photo of anybody else: give a folder of photos of people who are not in "
            f"{printable(folder)}, or leave --distractors out"
        )
    if commands and not strangers:
        raise EvaluationError(
            "--judge-command: from where on it links two photos is told by pairs of other people: give --distractors"
        )
    asked, needed = len({name for _, name in strangers}), people_for(far)
    if commands and asked < needed:
        raise EvaluationError(
            f"--judge-command: {needed} people are needed to tell from where on it links two photos at FAR {far:g}, "
            f"and --distractors has {asked}: give more"
        )
    if synthetic and len(strangers) < LEAST:
        raise EvaluationError(
            f"--synthetic-distractors {synthetic}: they are drawn from a model of the real ones, {len(strangers)} "
            f"here, and {LEAST} are needed: give a folder of at least so many photos with --distractors"
        )
    return Plan(
        folder,
        chosen,
        tuple(photo for photo, _ in strangers),
        tuple(strengths),
        tuple(views),
        far,
        quality,
        tuple(name for _, name in strangers),
        judge_models,
        tuple(commands),
        synthetic,
    )


def people_for(far: float) -> int:
    """Return of how many people there must be distractors, so that one pair of two in 1 / `far` is linked."""
    return math.ceil((1 + math.sqrt(1 + 8 / far)) / 2)


def _by_person(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file, name in photos_in(folder):
        found.setdefault(name, []).append(file)
    return found


def _chosen(folder: Path, found: dict[str, list[Path]], photos: int | None, people: int | None) -> tuple[Person, ...]:
    """Return the people that are asked for, by name. Raises EvaluationError."""
    wanted = photos or LEAST_PHOTOS
    names = sorted(found)
    if people is not None:
        able = [name for name in names if len(found[name]) >= wanted]
        able = able if len(able) >= people else [name for name in names if len(found[name]) >= LEAST_PHOTOS]
        names = able[:: max(len(able) // people, 1)][:people]
    single = [name for name in names if len(found[name]) < LEAST_PHOTOS]
    if single:
        said = ", ".join(printable(os.path.basename(name)) for name in single[:_NAMED])  # noqa: PTH119
        more = f" and {len(single) - _NAMED} more" if len(single) > _NAMED else ""
        raise EvaluationError(
            f"{printable(folder)}: there is one photo of {said}{more}, and a match is between two photos of a person: "
            "add photos of them, move them out of the folder, or let --people N choose among those who have enough"
        )
    if len(names) < LEAST_PEOPLE:
        raise EvaluationError(
            f"{printable(folder)}: {_people(len(names))} with {LEAST_PHOTOS} photos or more, and {LEAST_PEOPLE} are "
            "needed: give a folder in which every person has one folder of photos"
        )
    return tuple(Person(name, tuple(found[name][:photos])) for name in names)


def _people(number: int) -> str:
    return {0: "nobody", 1: "1 person"}.get(number, f"{number} people")
