"""`config set`, `config unset` and `config add-folder`: the configuration file changed without an editor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from uncnn.daemon.config import find_config
from uncnn.daemon.config.document import Location
from uncnn.daemon.config.editing import REMOVED, Edit, added_folder, edit_file, location_of
from uncnn.daemon.files.folders import named
from uncnn.daemon.files.opening import make_durable
from uncnn.daemon.output import OK, USAGE
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError


class EditError(UncnnError):
    """A value was asked for in a way that cannot be read."""

    exit_status = USAGE


def set_values(explicit: Path | None, texts: Sequence[str]) -> int:
    """Set values, each given as `name=value`, and return the exit status. Raises EditError, ConfigError."""
    return edit_configuration(explicit, [_edit_of(text) for text in texts])


def unset_values(explicit: Path | None, names: Sequence[str]) -> int:
    """Let the defaults hold for values of these names, and return the exit status. Raises EditError, ConfigError."""
    return edit_configuration(explicit, [Edit(_location(name), REMOVED) for name in names])


def add_folder(explicit: Path | None, watch: Path, publish: Path, policy: str | None) -> int:
    """Add a pair of folders, which are made where they are missing, and return the exit status.

    Raises EditError: they cannot be made. ConfigError: the file cannot be changed, or would be wrong.
    """
    file = find_config(explicit)
    status = edit_configuration(explicit, added_folder(file, str(named(watch)), str(named(publish)), policy))
    try:
        for folder in (watch, publish):
            make_durable(named(folder))
    except OSError as error:
        thing = printable(str(error.filename or watch))
        raise EditError(f"{thing} cannot be made: {system_words(error)[1]}") from error
    return status


def edit_configuration(explicit: Path | None, edits: Sequence[Edit]) -> int:
    """Change the configuration file, say so, and return the exit status. Raises ConfigError."""
    file = find_config(explicit)
    edit_file(file, edits)
    sys.stdout.write(f"changed {printable(file)}; next: uncnn-daemon config check, then uncnn-daemon reload\n")
    return OK


def _edit_of(text: str) -> Edit:
    name, sign, value = text.partition("=")
    if not sign:
        raise EditError(f"{text!r} has no value: write it as name=value, as in service.notify=true")
    return Edit(_location(name), _value(text, value))


def _location(name: str) -> Location:
    try:
        return location_of(name)
    except ValueError as error:
        raise EditError(str(error)) from error


def _value(text: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise EditError(f"{text!r}: {value!r} is not a value in YAML; put text with signs in quotes") from error
