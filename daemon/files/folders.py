"""Where uncnn keeps its own things: state (ledger, spool) and data (models), private to the user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import platformdirs

from uncnn.daemon.files.opening import make_durable
from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import UncnnError


class FolderError(UncnnError):
    """One of uncnn's own folders cannot be made or used."""


def named(path: Path) -> Path:
    """Return a path that a person named, absolute: `~` is the home, '..' is resolved without following links.

    Raises FolderError where it names the home of an unknown user.
    """
    try:
        return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100
    except RuntimeError as error:
        raise FolderError(f"{printable(path)} names the home of an unknown user: write the path out") from error


def state_dir() -> Path:
    """Return the folder of the ledger and the spool, made 0700: `$UNCNN_STATE`, or the user's state directory.

    Raises FolderError.
    """
    chosen = os.environ.get("UNCNN_STATE")
    return private(Path(chosen) if chosen else usual_folder("state"))


def ledger_file() -> Path:
    """Return where the ledger lies. Raises FolderError."""
    return state_dir() / "ledger.sqlite3"


def data_dir() -> Path:
    """Return the folder of models and what is derived from them, made 0700: the user's data directory.

    Raises FolderError.
    """
    return private(usual_folder("data"))


def usual_folder(kind: Literal["state", "data", "config", "cache", "pictures"], program: str = "uncnn") -> Path:
    """Return where this user's files of a kind belong. Raises FolderError: this user has no home."""
    try:
        if kind == "pictures":
            folder = platformdirs.user_pictures_path()
        else:
            folder = getattr(platformdirs, f"user_{kind}_path")(program, appauthor=False)
    except RuntimeError as error:
        raise _without_home() from error
    if folder.is_absolute():
        return folder
    raise _without_home()  # older platformdirs leave the ~ in it


def _without_home() -> FolderError:
    return FolderError("this user has no home that files could be put in: set HOME to a folder")


def private(folder: Path) -> Path:
    """Return `folder`, absolute, there, and closed to everyone else. Raises FolderError."""
    try:
        folder = folder.expanduser().absolute()
        make_durable(folder, 0o700)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except RuntimeError as error:
        raise _without_home() from error
    except FileExistsError as error:
        raise FolderError(f"{printable(folder)} is not a folder: move that file away") from error
    except OSError as error:
        raise FolderError(f"{printable(folder)} cannot be used: {system_words(error)[1]}") from error
    return folder
