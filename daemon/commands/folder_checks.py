"""The folders of a configuration as they are on this machine: what a run would stumble over, and how it will go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uncnn.daemon.config import Config, Folder
from uncnn.daemon.config.document import Location
from uncnn.daemon.files.publish import PublishError, way_into
from uncnn.daemon.text import printable, system_words
from uncnn.daemon.watch.folder import WatchedFolder


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was found: what is to be fixed, or a fact that is good to know."""

    kind: Literal["problem", "fact"]
    location: Location
    words: str


def remarks(config: Config) -> Iterator[Remark]:
    """Look at every folder of a configuration, and yield what was found, folder by folder."""
    for index, folder in enumerate(config.folders):
        yield Remark("fact", (), f"{printable(folder.watch)} -> {printable(folder.publish)}, policy {folder.policy}")
        yield from _watch_remarks(("folders", index, "watch"), folder.watch)
        yield from _publish_remarks(("folders", index, "publish"), folder)
    metrics = config.service.metrics
    if metrics is not None and not os.access(metrics.parent, os.W_OK | os.X_OK):
        words = f"{printable(metrics.parent)} is not a folder that can be written: create it, or give this user access"
        yield Remark("problem", ("service", "metrics"), words)


def _watch_remarks(location: Location, folder: Path) -> Iterator[Remark]:
    """Yield what keeps photos from being found, or how they are."""
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
        watched = WatchedFolder(folder, 0.0, lambda: None)
        with closing(watched):
            watched.open(0.0)
            yield Remark("fact", location, f"watched by {watched.mode}")
    except OSError as error:
        yield Remark("problem", location, f"{printable(folder)} cannot be read: {system_words(error)[1]}")


def _publish_remarks(location: Location, folder: Folder) -> Iterator[Remark]:
    """Yield what keeps copies from being published, or how they are."""
    publish = folder.publish
    there = publish if os.path.lexists(publish) else publish.parent
    if not there.is_dir():
        words = "it is not a folder: move that file away" if os.path.lexists(there) else "there is no such folder"
        remedy = "" if os.path.lexists(there) else ": create it, mount its disk or correct the path"
        yield Remark("problem", location, f"{printable(there)}: {words}{remedy}")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield Remark("problem", location, f"{printable(there)} cannot be written: give this user access to it")
    else:
        try:
            words = way_into(there).words
        except PublishError as error:
            yield Remark("problem", location, str(error))
            return
        if there != publish:
            yield Remark("fact", location, f"{printable(publish)} will be created with the first photo")
        if words:
            yield Remark("fact", location, words)
        if folder.watch.is_dir() and folder.watch.stat().st_dev != there.stat().st_dev:
            yield Remark("fact", location, "the copies are on another file system than the photos")
