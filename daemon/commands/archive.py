"""The commands `archive plan`, `archive work`, `archive ray` and `archive status`: a whole archive, in shares."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console

from uncnn.daemon.archive.cluster import Cluster, records_by_ray
from uncnn.daemon.archive.listing import PassedOver
from uncnn.daemon.archive.photo import do_photo
from uncnn.daemon.archive.plan import PlanError, new_plan, plan_json, read_plan, write_plan
from uncnn.daemon.archive.records import COPIES, STATUSES, Record, Status, records
from uncnn.daemon.archive.shards import Shard
from uncnn.daemon.archive.stores import Missing, Store, open_store
from uncnn.daemon.archive.working import Counts, Share, at_work, rows_of_plan
from uncnn.daemon.commands.config_check import check_attack
from uncnn.daemon.files.names import ignored_words
from uncnn.daemon.output import DEGRADED, ERROR, OK, print_json
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.settings import Settings, own_processes
from uncnn.daemon.terminal.counting import counting
from uncnn.daemon.terminal.progress import Bar, progress_bar
from uncnn.daemon.terminal.results import say_line, say_words
from uncnn.daemon.text import duration, printable
from uncnn.daemon.text import photos as photos_in_words
from uncnn.plugins.api import UncnnError

SAID_EVERY: Final = 1000
"""Photos that are listed, until the count on the terminal goes on."""

LOGGED_EVERY: Final = 100
"""Photos that are done, until a log, where no bar is, has another line."""

COLOURS: Final[dict[Status, str]] = {"published": "green", "held": "yellow", "skipped": "yellow", "error": "red"}
WORDS: Final[dict[Status, str]] = {"published": "published", "held": "held", "skipped": "skipped", "error": "failed"}


def plan_archive(settings: Settings, source: str, folder: str, to: str | None, as_json: bool) -> int:
    """List the photos of `source` into the plan `folder`, and return the exit status.

    Raises PlanError, StoreError, MissingPackage. RequestError, ProcessDied: a model is missing or broken.
    """
    if settings.policy.attack.parameters:  # else every worker would find out by itself, again and again
        try:
            check_attack(settings.policy)
        except UncnnError as error:
            raise PlanError(str(error)) from error
    store, over = open_store(folder), PassedOver()
    places = open_store(source).url, open_store(to).url if to else store.url
    with own_processes(settings.models, settings.device) as (engine, _):
        plan = new_plan(*places, settings.policy, settings.models, engine.roster)
    with Console(stderr=True).status("listing photos") as line:

        def heard(count: int) -> None:
            if count % SAID_EVERY == 0:
                line.update(f"listing photos: {count:,}")

        plan = write_plan(plan, store, over, heard)
    if as_json:
        print_json({"plan": store.url, **plan_json(plan)})
        return OK
    say_words(f"{plan.photos:,} {'photo' if plan.photos == 1 else 'photos'} of {printable(plan.source)} planned")
    more = [ignored_words(over.ignored), *(f"{n} {word}" for word, n in _others(over))]
    if words := ", ".join(each for each in more if each):
        say_words(f"passed over: {words}")
    say_words(f"to work it: uncnn-daemon archive work {printable(folder)}")
    return OK


def _others(over: PassedOver) -> Iterator[tuple[str, int]]:
    pairs = (("that cannot be read", over.refused), ("whose names are not UTF-8", over.unnamed))
    return ((words, number) for words, number in pairs if number)


@dataclass(slots=True)
class Said:
    """What became of the photos of a share so far, and how it is said."""

    quiet: bool
    of: int = 0  # photos
    counts: Counter[Status] = field(default_factory=Counter)

    def add(self, record: Record, bar: Bar | None = None) -> None:
        """Count a photo, and say it where it is not well; where no terminal shows a bar, how far it is too."""
        self.counts[record.status] += 1
        if self.quiet:
            return
        if record.status != "published":
            with bar.aside() if bar is not None else nullcontext():
                _say(record)
        if self.counts.total() % LOGGED_EVERY == 0 and not sys.stderr.isatty():
            say_words(f"{self.counts.total():,} of {photos_in_words(self.of)}: {self.words()}")

    @contextmanager
    def until_stopped(self) -> Iterator[None]:
        """Say what was done, and that the rest is left, where a signal or a fault ends the work before it is over."""
        try:
            yield
        except BaseException:
            if not self.quiet:
                did = f"{photos_in_words(self.counts.total())} of {self.of:,}: {self.words() or 'none yet'}"
                say_words(f"stopped after {did}; the same command goes on")
            raise

    def numbers(self) -> dict[str, int]:
        """Return how many photos came to what."""
        return {status: self.counts[status] for status in STATUSES}

    def words(self) -> str:
        """Return the same in words."""
        return ", ".join(f"{self.counts[each]:,} {WORDS[each]}" for each in STATUSES if self.counts[each])


def _say(record: Record) -> None:
    where = f" -> {record.copy}" if record.copy else ""
    say_line(record.photo, record.status, f"{where}: {record.reason}", COLOURS[record.status])


def work_archive(
    url: str, shard: str | None, device: str, photo_seconds: float, retry_errors: bool, as_json: bool
) -> int:
    """Do what is left of a share of the plan at `url`, and return the exit status.

    Raises PlanError, ShardError, StoreError, MissingPackage, MachineFault. RequestError, ProcessDied: a model is
    missing or broken.
    """
    own = Shard.parse(shard) if shard else Shard.of_environment(os.environ)
    began, share = time.monotonic(), Share.of(url, own, retry_errors)
    before = share.counts()
    said = Said(as_json, before.left)
    if left := before.left:
        with (
            said.until_stopped(),
            progress_bar(left, as_json) as bar,
            at_work(share, device, photo_seconds, bar.report) as site,
        ):
            for row in share.rows():
                bar.begin(row.photo)
                said.add(do_photo(site, row, bar.report, row.id in share.failed), bar)
    _print_worked(share, said, before, time.monotonic() - began)
    return OK


def ray_archive(url: str, cluster: Cluster, retry_errors: bool, as_json: bool) -> int:
    """Do what is left of the plan at `url` on Ray, and return the exit status.

    Raises PlanError, StoreError, MissingPackage, ClusterError, MachineFault.
    """
    began, share = time.monotonic(), Share.of(url, Shard(), retry_errors)
    before = share.counts()
    said = Said(as_json, before.left)
    if left := before.left:
        with said.until_stopped(), stopped_by_sigterm(), counting("cloaking", as_json) as heard:
            heard(0, left)
            for number, record in enumerate(records_by_ray(share, cluster), 1):
                said.add(record)
                heard(number, left)
    _print_worked(share, said, before, time.monotonic() - began)
    return OK


def _print_worked(share: Share, said: Said, before: Counts, seconds: float) -> None:
    shard = share.shard.words
    if said.quiet:
        worked = {"shard": shard, "counts": said.numbers(), "done_before": before.done, "failed_before": before.failed}
        print_json({"plan": share.folder.url, **worked, "seconds": round(seconds, 1)})
        return
    counts = [said.words(), *(f"{n:,} {words}" for n, words in _before(before) if n)]
    words = ", ".join(each for each in counts if each) or "nothing to do"
    say_words(f"share {shard}: {words}; {duration(seconds)}")


def _before(before: Counts) -> tuple[tuple[int, str], ...]:
    return (before.done, "done before"), (before.failed, "failed before (--retry-errors tries them again)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be said of an archive besides the counts."""

    statuses: frozenset[str] = frozenset()  # photos with their reasons
    audit: bool = False  # whether the copies are those that were verified


def archive_status(url: str, asked: Asked, as_json: bool) -> int:
    """Say what of the plan at `url` is done, and return the exit status. Raises PlanError, StoreError, MissingPackage.

    The records of all photos are read; with `audit` their copies too.
    """
    folder = open_store(url)
    plan = read_plan(folder)
    destination, said = open_store(plan.destination), Said(quiet=True)
    planned = {row.id for row in rows_of_plan(plan, folder)}  # another plan may have put records there too
    shown: list[dict[str, Any]] = []
    problems: list[dict[str, str]] = []
    nameless = set(destination.keys(COPIES)) if asked.audit else set()  # before the records: work goes on meanwhile
    with Console(stderr=True).status("reading what is done") as line:
        for number, record in enumerate(records(destination, plan.digest), 1):
            nameless.discard(record.copy)
            if record.row not in planned:
                continue
            said.add(record)
            problem = _problem(destination, record) if asked.audit else None
            if record.status in asked.statuses:
                shown.append(_shown(record))
            if problem is not None:
                problems.append({"photo": record.photo, "copy": record.copy, "problem": problem})
            if number % SAID_EVERY == 0:
                line.update(f"reading what is done: {number:,} of {plan.photos:,}")
    words = "no record names it: whoever put it ended before that; remove it unless it is yours"
    problems += [{"photo": "", "copy": copy, "problem": words} for copy in sorted(nameless)]
    left = plan.photos - said.counts.total()
    if as_json:
        audit = {"problems": problems} if asked.audit else {}
        print_json({"plan": plan_json(plan), "counts": said.numbers(), "left": left, "photos": shown, **audit})
    else:
        _print_status(url, plan.photos, said, left, shown, problems, asked)
    return ERROR if problems else DEGRADED if left or said.counts["held"] or said.counts["error"] else OK


def _print_status(
    url: str,
    photos: int,
    said: Said,
    left: int,
    shown: list[dict[str, Any]],
    problems: list[dict[str, str]],
    asked: Asked,
) -> None:
    for each in shown:
        say_line(each["photo"], each["status"], f": {each['reason']}", COLOURS[each["status"]])
    for problem in problems:
        say_line(problem["photo"] or problem["copy"], "audit", f": {problem['problem']}", "red")
    counts = [said.words(), f"{left:,} left" if left else ""]
    say_words(f"{photos_in_words(photos)} planned: {', '.join(each for each in counts if each)}")
    if asked.audit and not problems:
        say_words("every published copy is the one that was verified")
    again = f"uncnn-daemon archive status {printable(url)}"
    hints: dict[Status, str] = {
        "held": f"held photos and why: {again} --held",
        "error": f"failed photos and why: {again} --errors",
    }
    for status, words in hints.items():
        if said.counts[status] and status not in asked.statuses:
            say_words(words)


def _shown(record: Record) -> dict[str, Any]:
    names = ("photo", "status", "reason", "sha256", "copy", "copy_sha256", "faces", "uncertain", "same_as", "seconds")
    return {name: getattr(record, name) for name in names}


def _problem(store: Store, record: Record) -> str | None:
    """Return what is the matter with a published copy, or None."""
    if not record.copy:
        return None
    try:
        found = hashlib.sha256(store.read(record.copy)).hexdigest()
    except Missing:
        return f"its copy {printable(record.copy)} is missing"
    if found != record.copy_sha256:
        return f"its copy {printable(record.copy)} is not the one that was verified"
    return None
