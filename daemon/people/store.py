"""The enrolled people on the disk: names, and each judge's template of their faces. 0600, written in one rename."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final

from pydantic import TypeAdapter, ValidationError

from uncnn.daemon.files.folders import private, state_dir
from uncnn.daemon.files.private_file import write_private
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import Fault, UncnnError

NAME: Final = "people.json"


class PeopleError(UncnnError):
    """The enrolled people cannot be read or written, or a person cannot be enrolled."""

    fault: ClassVar[Fault] = "policy"  # that asks for them: its folder waits until they can be read


@dataclass(frozen=True, slots=True)
class Template:
    """The embeddings of a person's photos by one recogniser."""

    recogniser: str
    sha256: str  # of its model: another's embeddings say nothing
    embeddings: list[list[float]]  # a photo each


@dataclass(frozen=True, slots=True)
class Mask:
    """What is known of a person's mask, whose values lie in a file of their own (`uncnn.daemon.people.masks`)."""

    sha256: str  # of the file
    made: datetime
    recognisers: list[str]  # that it was made against


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is enrolled."""

    name: str
    enrolled: datetime
    templates: list[Template]  # of judges, who tell them from others, and of the recognisers that are attacked
    consented: datetime | None = None  # to others being made to look like them, to recognisers
    mask: Mask | None = None

    @property
    def photos(self) -> int:
        """Return how many photos they were enrolled with."""
        return max((len(template.embeddings) for template in self.templates), default=0)


@dataclass(frozen=True, slots=True)
class People:
    """All of them."""

    version: int = 1
    people: list[Person] = field(default_factory=list)

    def without(self, name: str) -> People:
        """Return the others."""
        return People(self.version, [person for person in self.people if person.name != name])


_PEOPLE: Final = TypeAdapter(People)


def people_file() -> Path:
    """Return where the enrolled people are kept: a folder of its own.

    Raises FolderError.
    """
    file = private(state_dir() / "people") / NAME
    with suppress(OSError):  # where it lay before
        if not file.exists():
            (state_dir() / NAME).rename(file)
    return file


def read_people(file: Path | None = None) -> People:
    """Return the enrolled people; none where there is no file, which by default is the user's own.

    Raises PeopleError, FolderError.
    """
    file = file or people_file()
    try:
        return _PEOPLE.validate_json(file.read_bytes())
    except FileNotFoundError:
        return People()
    except (OSError, ValidationError) as error:
        words = system_words(error)[1] if isinstance(error, OSError) else "it is damaged; enroll the people again"
        raise PeopleError(f"the enrolled people in {printable(file)} cannot be read: {words}") from error


def write_people(file: Path, people: People) -> None:
    """Write the enrolled people, 0600, whole or not at all. Raises PeopleError."""
    try:
        write_private(file, _PEOPLE.dump_json(people))
    except OSError as error:
        raise PeopleError(f"{printable(file)} cannot be written: {system_words(error)[1]}") from error


@contextmanager
def changing(file: Path) -> Iterator[People]:
    """Yield the enrolled people to who changes them: commands at the same time wait for each other.

    Raises PeopleError.
    """
    import fcntl  # here: `import uncnn` has to do without what only Unix has

    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise PeopleError(f"{printable(file.parent)} cannot be opened: {system_words(error)[1]}") from error
    try:
        with suppress(OSError):  # a share that knows no locks
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield read_people(file)
    finally:
        os.close(folder)
