"""After a kill: what stands in a publish folder already is published, the rest is done again."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from uncnn.daemon.files.kept import one_release_at_a_time, prune
from uncnn.daemon.files.names import LEAST_BYTES, is_video_name, longest_name, numbered
from uncnn.daemon.files.opening import open_file, opened_folder, safe_parts, sync_folder
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.files.standing import state_of
from uncnn.daemon.ledger import Job, Ledger, State

_NUMBERED: Final = re.compile(r".* \(([1-9][0-9]*)\)", re.DOTALL)


def recover(ledger: Ledger, died: bool = True, given: bool = False, videos: bool | None = None) -> None:
    """Bring the ledger in line with what was done last by a process that died, or that could not write to the ledger.

    Only where no other works on it: on the watched folders, or on those `given` to `cloak`; there on the `videos`
    alone, or on all but these.

    Cloaking again may give other bytes (another device, another model), which would be published beside the first.

    Raises LedgerError.
    """
    with one_release_at_a_time():
        _recover(ledger, died, given, videos)
    prune_kept(ledger)


def prune_kept(ledger: Ledger, *also: Job) -> None:
    """Remove the judged copies of photos that are held no more, and those beyond the bounds; `also`: soon held ones.

    Raises LedgerError, FolderError.
    """
    prune({job.id for job in (*ledger.jobs(state=State.HELD), *also)})


def _recover(ledger: Ledger, died: bool, given: bool, videos: bool | None) -> None:
    for job in ledger.jobs(state=State.PUBLISHING):
        of_others = videos is not None and is_video_name(job.relative.name) != videos
        if of_others or ledger.folders.is_given(job.folder) != given:
            continue
        _, publish_folder = ledger.folders.paths(job.folder)
        placed = released_before(publish_folder, job)
        if placed is not None:
            stands = state_of(publish_folder / placed)
            ledger.move(job, State.PUBLISHED, job.reason, published=placed, placed=stands)
    ledger.recover(died, given, videos)


def released_before(folder: Path, job: Job) -> Path | None:
    """Return where the bytes stand that an earlier attempt at a photo was about to publish, or None.

    The publish folder may not have been mounted when the ledger was brought in line.
    """
    if job.published is None or job.released_sha256 is None:
        return None
    return find_released(folder, job.published, job.released_sha256)


def find_released(folder: Path, relative: Path, sha256: str) -> Path | None:
    """Return where below a publish folder these bytes stand as `relative` or under its numbered names, or None.

    Some of those names may be free by now: what stood there was removed since.
    """
    parts = safe_parts(relative)
    try:
        with opened_folder(folder, parts[:-1]) as opened:
            for name in _own_names(parts[-1], os.listdir(opened), longest_name(folder)):  # noqa: PTH208 (by descriptor)
                if _sha256(opened, name) == sha256:
                    sync_folder(opened)
                    return relative.with_name(name)
    except (OSError, PublishError):  # the folder is not there
        return None
    return None


def _own_names(name: str, there: Iterable[str], longest: int) -> list[str]:
    """Return those of the names in a folder that `name` would be published under, in the order they would be tried."""
    numbers = {}
    for each in there:
        found = _NUMBERED.fullmatch(Path(each).stem)
        for number in {1, int(found[1]) if found else 1}:
            if each in (numbered(name, number, longest), numbered(name, number, LEAST_BYTES)):
                numbers[each] = number
    return sorted(numbers, key=numbers.__getitem__)


def _sha256(folder: int, name: str) -> str:
    """Return the sha256 of a regular file in an open folder, "" of anything else and of what cannot be read."""
    opened = open_file(folder, name)
    if opened is None:
        return ""
    with os.fdopen(opened, "rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()
