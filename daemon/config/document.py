"""A YAML file as values with the line of each: read safely, refused where it says a thing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import yaml

from uncnn.daemon.output import BAD_CONFIGURATION
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError

Location: TypeAlias = tuple[str | int, ...]
"""Where a value stands: ("folders", 1, "policy")."""

_SIZE_LIMIT: Final = 200_000  # bytes
_DEPTH_LIMIT: Final = 30
_SAFE: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SAFE):  # type: ignore[misc] # whichever of the two is there
    """The safe loader, to which a date is text like any other."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in _SAFE.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration."""

    file: Path
    line: int  # from 1; 0 where no line can be named
    path: str  # folders[1].policy
    message: str  # what was found, and the remedy

    def __str__(self) -> str:
        place = f"{printable(self.file)}:{self.line}" if self.line else printable(self.file)
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ConfigError(UncnnError):
    """A configuration that cannot be used: every problem of it, one a line."""

    exit_status = BAD_CONFIGURATION

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

    @property
    def line(self) -> str:
        """Return all problems in one line."""
        return "; ".join(map(str, self.problems))


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file says, and where."""

    file: Path
    value: Any
    lines: dict[tuple[str, ...], int]  # of every value, by its location, indices as text
    doubled: tuple[Problem, ...]  # keys that stand twice

    def problem(self, location: Location, message: str) -> Problem:
        """Return the problem at a location, with the line of the nearest thing that is there."""
        parts = tuple(map(str, location))
        known = next(parts[:end] for end in range(len(parts), -1, -1) if parts[:end] in self.lines)
        return Problem(self.file, self.lines[known], spelled(location), message)


def spelled(location: Location) -> str:
    """Return a location as people write it: folders[1].policy."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in location)
    return "".join(parts).removeprefix(".")


def read(file: Path) -> Document:
    """Return the document in a YAML file; an empty file is an empty mapping.

    Raises ConfigError where the file cannot be read, is not YAML, or uses aliases.
    """
    try:
        with file.open("rb") as reader:
            content = reader.read(_SIZE_LIMIT + 1)
    except OSError as error:
        raise _unreadable(file, 0, f"cannot be read: {system_words(error)[1]}") from error
    return parse(file, content)


def parse(file: Path, content: bytes) -> Document:
    """Return the document in the content of a YAML file. Raises ConfigError."""
    if len(content) > _SIZE_LIMIT:
        raise _unreadable(file, 0, f"is larger than {_SIZE_LIMIT} bytes: is this the configuration?")
    try:
        return _document(file, content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _unreadable(
            file, mark.line + 1 if mark else 0, f"is not valid YAML: {reason}; correct this line"
        ) from error
    except (ValueError, OverflowError) as error:  # `!!int twelve`
        raise _unreadable(file, 0, f"contains an invalid value: {error}; put it in quotes") from error


def _unreadable(file: Path, line: int, message: str) -> ConfigError:
    return ConfigError((Problem(file, line, "", message),))


def _document(file: Path, content: bytes) -> Document:
    _check_structure(file, content)
    loader = _Loader(content)
    try:
        root = loader.get_single_node()
        if root is None:
            return Document(file, {}, {(): 1}, ())
        lines: dict[tuple[str, ...], int] = {(): 1}
        doubled = tuple(_note_lines(file, root, (), lines))
        return Document(file, loader.construct_document(root), lines, doubled)
    finally:
        loader.dispose()


def _check_structure(file: Path, content: bytes) -> None:
    """Refuse aliases, which can make a small file endless, and depth, which overflows the stack of the C loader."""
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise _unreadable(file, line, f"uses the alias *{event.anchor}; write it out in full")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH_LIMIT:
            raise _unreadable(file, line, f"is nested deeper than {_DEPTH_LIMIT} levels; use fewer levels")


def _note_lines(
    file: Path, node: yaml.Node, location: Location, lines: dict[tuple[str, ...], int]
) -> Iterator[Problem]:
    """Fill in the line of every value below `node`, and yield a problem for every key that stands twice."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            below = (*location, index)
            lines[tuple(map(str, below))] = item.start_mark.line + 1
            yield from _note_lines(file, item, below, lines)
    elif isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            named, line = (*location, str(key.value)), key.start_mark.line + 1
            spoken = tuple(map(str, named))
            if spoken in lines:
                message = f"the key also occurs in line {lines[spoken]}: remove one of them"
                yield Problem(file, line, spelled(named), message)
            lines[spoken] = line
            yield from _note_lines(file, item, named, lines)
