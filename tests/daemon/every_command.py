"""Every command there is, found from the application itself, and what it takes at least."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from uncnn.daemon.cli.main import app


def commands() -> dict[str, list[str]]:
    """Return every command by its words, and a value for each thing that it cannot do without."""
    return {
        name: [text for each in command.params if each.required for text in _value(each)]
        for name, command in _walk(typer.main.get_command(app), ())
    }


def options_of(name: str) -> set[str]:
    """Return the options of a command."""
    return {option for each in dict(_walk(typer.main.get_command(app), ()))[name].params for option in each.opts}


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(words), command
    for name, each in (below or {}).items():
        yield from _walk(each, (*words, name))


def _value(parameter: Any) -> list[str]:
    return [parameter.opts[0], "face.png"] if parameter.opts[0].startswith("-") else ["face.png"]
