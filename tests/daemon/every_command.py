"""Every command there is, found from the application itself, and what it takes at least."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from uncnn.daemon.cli.main import app


def commands() -> dict[str, list[str]]:
    """Return every command by its words, and a value for each thing that it cannot do without."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
        below = getattr(command, "commands", None)
        if below is None:
            yield " ".join(words), [text for each in command.params if each.required for text in _value(each)]
        for name, each in (below or {}).items():
            yield from walk(each, (*words, name))

    return dict(walk(typer.main.get_command(app), ()))


def _value(parameter: Any) -> list[str]:
    return [parameter.opts[0], "face.png"] if parameter.opts[0].startswith("-") else ["face.png"]
