"""What a command asks of the service besides what it asks of the two processes, and on what both must agree."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, TypeVar, cast

import uncnn.daemon
from uncnn.daemon.config import Models
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Change, CutFaces, Describe, Explain, Judge, Look, Portray, Review, Show
from uncnn.daemon.protect.wire import Ask
from uncnn.daemon.sandbox.protection import Protection
from uncnn.exporters.registry.store import Roster, search_path

Value = TypeVar("Value")

_SIMILARITY: Final = "UNCNN_LPIPS"  # as in `learned_similarity`, which imports torch

ASKED_OF_PROCESSES: Final = (Look, Change, Review, Judge, Describe, Show, CutFaces, Explain, Portray)
"""What a command may have the service's processes do."""


@dataclass(frozen=True, slots=True)
class Footing:
    """All that the outcome of a photo depends on besides the photo and its policy: both sides must agree on it."""

    version: str
    software: tuple[str, ...]  # where uncnn and its Python lie: these have the plugins
    models: str  # which are asked for, as JSON
    device: str
    folders: tuple[str, ...]  # of models, in the order they are looked for
    similarity: str  # the weights of LPIPS that the environment names

    @classmethod
    def of(cls, models: Models, device: str, data: Path) -> Footing:
        """Return what holds in this process; `data` is the folder of the user's models."""
        folders = tuple(str(folder.absolute()) for folder in search_path(data))
        named = os.environ.get(_SIMILARITY)
        return cls(
            _version(),
            _software(),
            models.model_dump_json(),
            device,
            folders,
            str(Path(named).absolute()) if named else "",
        )


@cache
def _version() -> str:
    try:
        return version("uncnn")
    except PackageNotFoundError:
        return ""


@cache
def _software() -> tuple[str, ...]:
    return (sys.prefix, *uncnn.daemon.__path__, os.environ.get("PYTHONPATH", ""))


_version()  # of what runs, whatever is installed over it meanwhile


@dataclass(frozen=True, slots=True)
class Joined:
    """The service works on the same footing."""


@dataclass(frozen=True, slots=True)
class Join(Ask[Joined]):
    """Be let in: the first message of a command."""

    footing: Footing


@dataclass(frozen=True, slots=True)
class Started:
    """What the service's processes work with."""

    device: str
    providers: tuple[str, ...]
    protection: Protection


@dataclass(frozen=True, slots=True)
class Start(Ask[Started]):
    """Load the models, where they are not loaded."""


@dataclass(frozen=True, slots=True)
class NameModels(Ask[Roster]):
    """Say which models there are."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The service has read its configuration again."""

    problem: str  # why it keeps the old one; "": it goes by the new one


@dataclass(frozen=True, slots=True)
class Reload(Ask[Reloaded]):
    """Read the configuration again; whoever asks need not have joined."""


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What a scan of a watched folder showed."""

    folder: str
    waiting: int  # photos that are to be done
    problem: str  # why the folder is blocked, and was not scanned; ""


@dataclass(frozen=True, slots=True)
class Scanned:
    """The service has looked at its folders."""

    folders: tuple[FolderScan, ...]


@dataclass(frozen=True, slots=True)
class Scan(Ask[Scanned]):
    """Look at all watched folders now; whoever asks need not have joined."""


def exchanged(value: Value, exchange: Callable[[Content], Content]) -> Value:
    """Return a message or an answer with each of its files exchanged."""
    if isinstance(value, Content):
        return cast(Value, exchange(value))
    if is_dataclass(value) and not isinstance(value, type):
        own = {each.name: getattr(value, each.name) for each in fields(value)}
        new = {name: exchanged(each, exchange) for name, each in own.items()}
        return replace(value, **new) if any(new[name] is not own[name] for name in own) else value
    if isinstance(value, tuple):
        parts = [exchanged(each, exchange) for each in value]
        return value if all(map(operator.is_, parts, value)) else type(value)(parts)
    return value
