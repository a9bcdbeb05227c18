"""The photos of an archive, found by the rules of `cloak FOLDER`, in a folder or in a place that fsspec knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from uncnn.daemon.archive.manifest import Row
from uncnn.daemon.archive.stores import FolderStore, Missing, RemoteStore, Store, StoreError
from uncnn.daemon.config import Policy
from uncnn.daemon.files import kinds
from uncnn.daemon.files.names import Reason, ignored, is_photo_name, is_video_name, numbered, other_name
from uncnn.daemon.files.scan import Ignored, ScanError, scan

_SNIFFED: Final = 32  # bytes, of a file whose name says nothing


@dataclass(slots=True)
class PassedOver:
    """What of an archive is not planned, and why."""

    ignored: Counter[Reason] = field(default_factory=Counter)
    refused: int = 0  # folders that cannot be read, devices, links with the names of photos
    unnamed: int = 0  # whose names are no UTF-8, which a Parquet file holds

    @property
    def counts(self) -> dict[str, int]:
        """Return how many there are of each kind."""
        more = {"cannot be read": self.refused, "name is not UTF-8": self.unnamed}
        return {**{each.value: self.ignored[each] for each in Reason if self.ignored[each]}, **_positive(more)}


def find_photos(source: Store, policy: Policy, over: PassedOver, heard: Callable[[int], None]) -> Iterator[Row]:
    """Yield the photos of a source, counting in `over` what is passed over; `heard` is told how many there are so far.

    Raises StoreError.
    """
    names, count = CopyNames(policy), 0
    for key, size, stamp in _found(source, over):
        try:
            key.encode()
        except UnicodeEncodeError:
            over.unnamed += 1
            continue
        yield Row(key, size, stamp, names.of(key))
        count += 1
        heard(count)


class CopyNames:
    """The names of copies: two photos of a folder, one a HEIC, one a PNG, do not share one.

    Names are remembered folder by folder, and forgotten when the listing has left the folder: it goes by name.
    """

    def __init__(self, policy: Policy) -> None:
        """Names are those that `policy` gives."""
        self._policy = policy
        self._open: dict[str, set[str]] = {}  # the folders that the listing is in

    def of(self, key: str) -> str:
        """Return the name of the copy of a photo."""
        wanted = self._policy.released_name(Path(key))
        if self._policy.output.format == "same":
            return wanted.as_posix()
        folder = wanted.parent.as_posix()
        for left in [each for each in self._open if each != "." and not f"{folder}/".startswith(f"{each}/")]:
            del self._open[left]
        used, number = self._open.setdefault(folder, set()), 1
        while (name := numbered(wanted.name, number)).casefold() in used:
            number += 1
        used.add(name.casefold())
        return wanted.with_name(name).as_posix()


def _found(source: Store, over: PassedOver) -> Iterator[tuple[str, int, str]]:
    """Yield key, size and stamp of each photo."""
    if isinstance(source, FolderStore):
        yield from _in_folder(source.root, over)
    elif isinstance(source, RemoteStore):
        yield from _in_remote(source, over)


def _in_folder(root: Path, over: PassedOver) -> Iterator[tuple[str, int, str]]:
    try:
        for found in scan(root, videos=False):
            if isinstance(found, Ignored):
                over.ignored[found.reason] += 1
            elif found.refused is not None:
                over.refused += 1
            else:
                yield found.relative.as_posix(), found.size, str(found.mtime_ns)
    except ScanError as error:
        raise StoreError(str(error).removeprefix("watched folder ")) from error


def _in_remote(source: RemoteStore, over: PassedOver) -> Iterator[tuple[str, int, str]]:
    for key, size, stamp in source.listing():
        reason = _why_not(source, key)
        if reason is None:
            yield key, size, stamp
        else:
            over.ignored[reason] += 1


def _why_not(source: RemoteStore, key: str) -> Reason | None:
    """Return why an object is not taken, or None: it is a photo by its name, or else by its first bytes."""
    parts = PurePosixPath(key).parts
    reason = next((found for part in parts if (found := ignored(part)) is not None), None)
    if reason is not None or is_photo_name(parts[-1]):
        return reason
    reason = Reason.VIDEO if is_video_name(parts[-1]) else other_name(parts[-1])
    if reason is not None:
        return reason
    with suppress(Missing):
        kind = kinds.kind_of(source.head(key, _SNIFFED))
        if kind in (kinds.PHOTO, kinds.EMPTY):
            return None if kind == kinds.PHOTO else Reason.EMPTY
        return Reason.UNSUPPORTED if kind else Reason.OTHER
    return Reason.OTHER


def _positive(counts: dict[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number}
