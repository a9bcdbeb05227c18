"""`models remove`: only what lies in the user's own data directory, and only whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import typer

from uncnn.daemon.commands.models.choice import check_ours, chosen
from uncnn.daemon.commands.models.prompting import interactive
from uncnn.daemon.files.folders import FolderError, data_dir
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.settings import SettingsError
from uncnn.daemon.text import printable, system_words
from uncnn.exporters.registry import store
from uncnn.exporters.registry.catalog import read_catalog


def remove_models(names: Sequence[str], yes: bool, as_json: bool) -> int:
    """Remove models from the data directory and return the exit status.

    Raises:
        ModelsError: one is not installed, or lies elsewhere; then nothing is removed. SettingsError: nobody to ask.
    """
    if not names:
        raise SettingsError("name the models to remove: `uncnn-daemon models list` lists them")
    data = data_dir()
    detectors = {name: files for name in names if (files := list(_detector_files(data, name)))}
    places = chosen(data, [name for name in names if name not in detectors]) if len(detectors) < len(names) else []
    for place in places:
        check_ours(data, place, "remove it there")
    found = [*(place.folder for place in places), *(file for files in detectors.values() for file in files)]
    if not yes:
        _ask(found, as_json)
    for path in found:
        _remove(path)
    if as_json:
        print_json({"removed": [str(path) for path in found]})
        return OK
    for path in found:
        typer.echo(f"removed {printable(path)}")
    return OK


def _ask(found: Sequence[Path], as_json: bool) -> None:
    if as_json or not interactive():
        raise SettingsError("there is no terminal to ask for confirmation: add --yes to remove them")
    for path in found:
        typer.echo(printable(path))
    typer.confirm("remove this?", abort=True)


def _detector_files(data: Path, name: str) -> Iterator[Path]:
    """Yield the weights of a detector in the data directory, and what was exported from them."""
    for entry in (entry for entry in read_catalog().detectors if entry.name == name):
        weights = store.models_dir(data) / entry.installs
        if weights.is_file():
            yield weights
            yield from sorted(weights.parent.glob(f"{weights.stem}-*.onnx"))


def _remove(path: Path) -> None:
    """Remove a file, or a folder: first out of sight, so that no half of it is ever seen."""
    try:
        if path.is_dir():
            hidden = path.with_name(f".{path.name}-{uuid4().hex}")
            path.rename(hidden)
            shutil.rmtree(hidden)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"{printable(path)} cannot be removed: {system_words(error)[1]}") from error
