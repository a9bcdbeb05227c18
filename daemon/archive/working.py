"""A share of an archive, worked photo after photo by processes of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uncnn.daemon.archive.manifest import Row, read_rows
from uncnn.daemon.archive.photo import Site
from uncnn.daemon.archive.plan import Plan, read_plan
from uncnn.daemon.archive.records import rows_done, rows_failed
from uncnn.daemon.archive.shards import Shard
from uncnn.daemon.archive.stores import FolderStore, Store, open_store
from uncnn.daemon.protect.process_engine import LOADING, ProcessEngine
from uncnn.daemon.protect.wire import Report, Stage
from uncnn.daemon.settings import own_processes


@dataclass(frozen=True, slots=True)
class Counts:
    """How many photos of a share are to be done, and what was before."""

    left: int
    done: int
    failed: int  # and are not tried again


@dataclass(frozen=True, slots=True)
class Share:
    """What there is to do of a plan, found out by two listings: no photo is read for it."""

    plan: Plan
    folder: Store  # of the plan
    shard: Shard
    done: frozenset[str]  # rows
    failed: frozenset[str]
    again: bool  # those that failed are done once more

    @classmethod
    def of(cls, url: str, shard: Shard, again: bool = False) -> Share:
        """Return the share of a plan. Raises PlanError, StoreError."""
        folder = open_store(url)
        plan = read_plan(folder)
        destination = open_store(plan.destination)
        if isinstance(destination, FolderStore):
            destination.sweep()
        done, failed = rows_done(destination, plan.digest, shard), rows_failed(destination, plan.digest)
        return cls(plan, folder, shard, frozenset(done), frozenset(failed - done), again)

    def all_rows(self) -> Iterator[Row]:
        """Yield the photos of the share. Raises StoreError."""
        return (row for row in rows_of_plan(self.plan, self.folder) if self.shard.holds(row.id))

    def rows(self) -> Iterator[Row]:
        """Yield the photos that are to be done. Raises StoreError."""
        return (row for row in self.all_rows() if self.is_left(row))

    def counts(self) -> Counts:
        """Return how many photos are to be done, and how many were before. Raises StoreError."""
        left = done = failed = 0
        for row in self.all_rows():
            if self.is_left(row):
                left += 1
            elif row.id in self.failed:
                failed += 1
            else:
                done += 1
        return Counts(left, done, failed)

    def is_left(self, row: Row) -> bool:
        """Return whether a photo is to be done."""
        return row.id not in self.done and (self.again or row.id not in self.failed)


def rows_of_plan(plan: Plan, folder: Store) -> Iterator[Row]:
    """Yield all photos of a plan, which lies in `folder`. Raises StoreError."""
    with tempfile.TemporaryDirectory(prefix="uncnn-plan-") as private:
        yield from read_rows(plan.parts, folder, Path(private))


@contextmanager
def at_work(share: Share, device: str, photo_seconds: float, report: Report) -> Iterator[Site]:
    """Yield what photos are done with: processes in a sandbox, which have loaded their models.

    Raises PlanError: the models here are not those of the plan. RequestError, ProcessDied: they are broken.
    """
    with own_processes(share.plan.models, device) as (engine, spool):
        report(Stage(LOADING))
        yield started_site(share.plan, engine, spool, photo_seconds)


def started_site(plan: Plan, engine: ProcessEngine, spool: Path, photo_seconds: float) -> Site:
    """Return what photos of a plan are done with, once the processes have loaded their models.

    Raises PlanError: the models here are not those of the plan. RequestError, ProcessDied: they are broken.
    """
    plan.check(engine.roster)
    engine.start()
    stores = open_store(plan.source), open_store(plan.destination)
    site = Site(plan, *stores, engine, spool, engine.start, engine.kill, photo_seconds)
    plan.check(engine.roster)  # the people that it has read are those of the plan
    return site
