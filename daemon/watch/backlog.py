"""What there is to do in a watched folder: the scan, held against the ledger."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from uncnn.daemon.config import Config, Folder
from uncnn.daemon.config.document import ConfigError
from uncnn.daemon.config.overrides import overridden
from uncnn.daemon.config.policies import Policy
from uncnn.daemon.files.names import Reason, is_video_name
from uncnn.daemon.files.opening import make_durable
from uncnn.daemon.files.publish import PublishError, sweep, way_into
from uncnn.daemon.files.scan import Found, Ignored, scan
from uncnn.daemon.files.spool import Snapshot
from uncnn.daemon.ledger import Job, Ledger
from uncnn.daemon.ledger.states import NEEDS_PERSON
from uncnn.daemon.text import printable
from uncnn.daemon.video.needed import what_keeps_videos

REFUSED_NAMED: Final = 3
"""So many files that are not taken are named."""


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """A watched folder of the configuration and its number in the ledger."""

    number: int
    folder: Folder
    policy: Policy
    digest: str  # the policy's
    watched: bool = True  # False: a person gave the photos to `cloak`

    def at(self, relative: Path) -> SourceFolder:
        """Return the folder with the policy for one photo: a `.uncnn.yaml` on the way to it may say more.

        Raises ConfigError where such a file is wrong.
        """
        policy = overridden(self.policy, self.folder.watch, relative)
        return self if policy is self.policy else replace(self, policy=policy, digest=policy.digest())

    def can_do(self, relative: Path) -> bool:
        """Return whether a file is taken by its kind: a video, where the policy and what is installed allow it."""
        is_video = is_video_name(relative.name)
        return not is_video or (self.policy.videos == "cloak" and not what_keeps_videos())

    def name(self, relative: Path) -> str:
        """Return what a person calls a photo of the folder."""
        return printable(self.folder.watch / relative)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan of a folder showed."""

    source: SourceFolder
    seen_at: float  # seconds, monotonic
    found: int  # candidates there
    new: tuple[Found, ...]  # to be done, the oldest first; those that work was begun on before come last
    there: tuple[Found, ...]  # all candidates
    refused: tuple[Found, ...]  # cannot be taken as what they are
    ignored: Counter[Reason]  # how many files and folders are not looked at
    standing: tuple[Job, ...]  # done before, and waiting for a person
    videos: Counter[str]  # that are not done, by what keeps them

    def refusals(self) -> list[str]:
        """Return what cannot be taken, and why, a line each."""
        return self.videos_words() + [f"{printable(each.relative)}: {each.refused}" for each in self.refused]

    def videos_words(self) -> list[str]:
        """Return how many videos are not done, and why, a line each."""
        return [videos_words(number, keeps) for keeps, number in self.videos.items()]

    def settle_seconds(self, found: Found) -> float:
        """Return how long to wait until a file has not been changed for as long as the folder asks."""
        unchanged = time.monotonic() - self.seen_at
        age = time.time() - found.ctime_ns / 1e9
        if age > 0:  # otherwise the clock has been set back
            unchanged = max(unchanged, age)
        return max(self.source.folder.settle_seconds - unchanged, 0.0)


def source_folders(config: Config, ledger: Ledger) -> list[SourceFolder]:
    """Return the folders of a configuration; the ledger then knows them as watched, and no others.

    Raises LedgerError.
    """
    numbers = ledger.folders.watch([(folder.watch, folder.publish) for folder in config.folders])
    found = zip(numbers, config.folders, map(config.policy_of, config.folders), strict=True)
    return [SourceFolder(number, folder, policy, policy.digest()) for number, folder, policy in found]


def source_of(file: Found | Snapshot) -> str:
    """Return what tells a file from itself after any change: device, inode, size and times."""
    return f"{file.device}:{file.inode}:{file.size}:{file.mtime_ns}:{file.ctime_ns}"


def scan_folder(ledger: Ledger, source: SourceFolder) -> ScanResult:
    """Return what is to do in a folder; what waited for photos that are gone is given up.

    Raises ScanError, and LedgerError.
    """
    seen_at = time.monotonic()
    everything = list(scan(source.folder.watch, videos=source.policy.videos == "cloak"))
    found = [each for each in everything if isinstance(each, Found)]
    passed = Counter(each.reason for each in everything if isinstance(each, Ignored))
    waiting = ledger.replaceable(source.number)
    give_up_gone(ledger, waiting, found)
    sources: dict[Path, SourceFolder | str] = {}  # by the folder that a photo is in
    done: dict[Found, Job | None] = {}
    videos: dict[Found, str] = {}
    refused = [each for each in found if each.refused is not None]
    for each in found:
        own = _source_at(source, each.relative, sources)
        if each.refused is not None:
            continue
        if isinstance(own, str):
            refused.append(replace(each, refused=own))
            continue
        job = ledger.done(source.number, each.relative, source_of(each), own.digest)
        if job is None and is_video_name(each.relative.name) and (keeps := what_keeps_videos()):
            videos[each] = keeps
        else:
            done[each] = job
    tried = {job.relative: job.attempts for job in waiting}  # one that ends the process keeps no other waiting
    todo = (each for each, job in done.items() if job is None)
    new = sorted(todo, key=lambda each: (tried.get(each.relative, 0), each.ctime_ns))
    ledger.folders.scanned(source.number, len(done), len(new), passed)
    return ScanResult(
        source,
        seen_at,
        len(done),
        tuple(new),
        (*done, *videos),
        tuple(refused),
        passed,
        tuple(job for job in done.values() if job is not None and job.state in NEEDS_PERSON),
        Counter(videos.values()),
    )


def videos_words(number: int, keeps: str) -> str:
    """Return in words that so many videos are not done, and what keeps them."""
    return f"{'1 video waits' if number == 1 else f'{number} videos wait'}, not cloaked: {keeps}"


def refused_words(problems: Sequence[str]) -> str:
    """Return what of a folder is not taken, and why, in one line: the first few, and how many more there are."""
    more = len(problems) - REFUSED_NAMED
    return "; ".join(problems[:REFUSED_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _source_at(source: SourceFolder, relative: Path, sources: dict[Path, SourceFolder | str]) -> SourceFolder | str:
    """Return the folder with the policy for a photo, or what is wrong with a `.uncnn.yaml` that counts for it."""
    if relative.parent not in sources:
        try:
            sources[relative.parent] = source.at(relative)
        except ConfigError as error:
            sources[relative.parent] = error.line
    return sources[relative.parent]


def prepare_publish(ledger: Ledger, source: SourceFolder, clean: bool = True) -> None:
    """Make the publish folder where it is new; where it is to be made `clean`, remove what killed runs left in it.

    It is found out then how files can be published there, before any photo is cloaked. A folder that has been published
    to and is gone is not made again: it may lie on a disk that is not mounted.

    Raises PublishError.
    """
    folder = source.folder.publish
    try:
        if not folder.exists() and not ledger.folders.has_published(source.number):
            make_durable(folder, parents=False)
        if clean:
            sweep(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PublishError("permission", f"{printable(folder)} cannot be written: give this user access to it")
        if clean:
            ledger.folders.publishes(source.number, way_into(folder))
    except OSError as error:
        raise PublishError.of(error, folder, "made") from error


def give_up_gone(ledger: Ledger, jobs: Sequence[Job], found: Iterable[Found]) -> None:
    """Supersede what waits for photos that are no longer there; what could not be looked into may still be."""
    there = {each.relative for each in found}
    hidden = [each.relative for each in found if each.refused is not None]
    gone = [
        job
        for job in jobs
        if job.relative not in there and not any(job.relative.is_relative_to(each) for each in hidden)
    ]
    if gone:
        ledger.supersede(gone, "the photo was removed")
