"""An archive of photos that say in words what becomes of them, and the commands on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uncnn.daemon.archive.plan import read_plan
from uncnn.daemon.archive.records import Record, records
from uncnn.daemon.archive.stores import Store, open_store
from uncnn.daemon.commands.archive import Asked, archive_status, plan_archive, work_archive
from uncnn.daemon.config import Models, Policy
from uncnn.daemon.settings import Settings


class Archive:
    """A source, a plan, and the commands on them."""

    def __init__(self, top: str, capsys: pytest.CaptureFixture[str], log: Path) -> None:
        self.source, self.plan, self.log = f"{top}/photos", f"{top}/plan", log
        self._capsys = capsys
        self.status = 0

    def beside(self, name: str) -> Archive:
        """Return another plan of the same photos."""
        other = Archive(self.source.removesuffix("/photos"), self._capsys, self.log)
        other.plan = f"{self.plan}-{name}"
        return other

    def of_other_photos(self, name: str) -> Archive:
        """Return a plan of photos that lie elsewhere."""
        return Archive(f"{self.source.removesuffix('/photos')}/{name}", self._capsys, self.log)

    @property
    def store(self) -> Store:
        return open_store(self.plan)

    def put(self, name: str, content: str) -> None:
        open_store(self.source).put(name, content.encode())

    def planned(self, to: str | None = None, **policy: Any) -> dict[str, Any]:
        """Return what the command `plan` says."""
        given = Settings(Models(), "auto", Policy(**policy))
        return self._said(lambda: plan_archive(given, self.source, self.plan, to, True))

    def worked(self, shard: str | None = None, again: bool = False, seconds: float = 600.0) -> dict[str, Any]:
        """Return what the command `work` says."""
        return self._said(lambda: work_archive(self.plan, shard, "auto", seconds, again, True))

    def told(self, *statuses: str, audit: bool = False) -> dict[str, Any]:
        """Return what the command `status` says."""
        return self._said(lambda: archive_status(self.plan, Asked(frozenset(statuses), audit), True))

    def _said(self, command: Callable[[], int]) -> dict[str, Any]:
        self._capsys.readouterr()
        self.status = command()
        said: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return said

    def records(self) -> dict[str, Record]:
        """Return the record of each photo; none has two."""
        found = list(records(self.store, read_plan(self.store).digest))
        by_photo = {each.photo: each for each in found}
        assert len(by_photo) == len(found)
        return by_photo

    def copies(self) -> dict[str, str]:
        """Return each copy by its name."""
        return {key.removeprefix("copies/"): self.store.read(key).decode() for key in self.store.keys("copies/")}

    def times(self, word: str) -> int:
        """Return how many photos the processes have `looked` at, or `cloaked`."""
        log = self.log / word
        return len(log.read_bytes().splitlines()) if log.exists() else 0
