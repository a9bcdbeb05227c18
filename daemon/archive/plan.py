"""What is to be done with an archive, written down once, so that every process does the same or refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, ClassVar, Final

from pydantic import TypeAdapter, ValidationError

from uncnn.daemon.archive.listing import PassedOver, find_photos
from uncnn.daemon.archive.manifest import Part, write_rows
from uncnn.daemon.archive.records import COPIES, DONE, digest_of
from uncnn.daemon.archive.stores import Missing, Store, open_store
from uncnn.daemon.config import Models, Policy
from uncnn.daemon.output import USAGE
from uncnn.daemon.people.store import people_file
from uncnn.daemon.text import printable
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.api import UncnnError
from uncnn.plugins.registry import asks_for_people

FILE: Final = "plan.json"
FORMAT: Final = 1


class PlanError(UncnnError):
    """An archive that cannot be planned so, or a plan that cannot be worked here."""

    exit_status: ClassVar[int] = USAGE


@dataclass(frozen=True, slots=True)
class Plan:
    """Which photos, how, and where to: all but the list itself."""

    source: str
    destination: str
    policy: Policy
    models: Models
    made_with: str  # the digest of the models, and of the enrolled people where the policy speaks of them
    version: str  # of uncnn
    photos: int = 0
    parts: tuple[Part, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def digest(self) -> str:
        """Return that of all that an outcome depends on besides the photo."""
        return digest_of(self.policy.digest(), self.made_with, self.version)

    def packed(self) -> bytes:
        """Return it as JSON."""
        return _PLAN.dump_json(self, indent=2) + b"\n"

    def check(self, roster: Roster) -> None:
        """Check that this installation does what was planned. Raises PlanError, OSError."""
        own = version("uncnn")
        if self.version != own:
            raise PlanError(f"the plan was made by uncnn {self.version}, this is {own}: install that, or plan again")
        if self.made_with != models_digest(self.policy, roster):
            raise PlanError(
                "the plan was made with other models or enrolled people than are here: install the same"
                " (uncnn-daemon models list), or plan again"
            )


_PLAN: Final = TypeAdapter(Plan)


def models_digest(policy: Policy, roster: Roster) -> str:
    """Return the digest of the models, and of the enrolled people where the policy speaks of them. Raises OSError."""
    speaks = policy.faces.who != "all" or asks_for_people(policy.attack.parameters)
    file = people_file()
    enrolled = file.read_bytes() if speaks and file.exists() else b""
    return digest_of(roster.digest(), hashlib.sha256(enrolled).hexdigest())


def new_plan(source: str, destination: str, policy: Policy, models: Models, roster: Roster) -> Plan:
    """Return a plan without photos yet. Raises OSError: the enrolled people cannot be read."""
    return Plan(source, destination, policy, models, models_digest(policy, roster), version("uncnn"))


def write_plan(plan: Plan, folder: Store, over: PassedOver, heard: Callable[[int], None]) -> Plan:
    """List the photos of a plan into `folder`, then write the plan itself; return it as it is then.

    Raises PlanError: there is one, there are no photos, or a folder lies in another. StoreError.
    """
    destination = open_store(plan.destination)
    refuse_nested(plan.source, folder.url, plan.destination)
    _refuse_taken(folder, destination, plan.digest)
    parts = write_rows(find_photos(open_store(plan.source), plan.policy, over, heard), folder)
    count = sum(part.rows for part in parts)
    if count == 0:
        raise PlanError(f"there are no photos in {printable(plan.source)}: name another folder")
    whole = replace(plan, photos=count, parts=tuple(parts), passed_over=over.counts)
    if not folder.put_new(FILE, whole.packed()) and folder.read(FILE) != whole.packed():  # S3: an answer was lost
        raise _taken(folder)
    return whole


def read_plan(folder: Store) -> Plan:
    """Return the plan of a folder. Raises PlanError: there is none that this version reads. StoreError."""
    try:
        data = folder.read(FILE)
    except Missing as error:
        words = f"there is no plan in {printable(folder.url)}: make one with uncnn-daemon archive plan"
        raise PlanError(words) from error
    try:
        return _PLAN.validate_json(data)
    except ValidationError as error:
        words = f"{printable(folder.url)}/{FILE} is no plan that uncnn {version('uncnn')} reads: plan the archive again"
        raise PlanError(words) from error


def refuse_nested(source: str, *others: str) -> None:
    """Refuse what would make copies of copies. Raises PlanError."""
    for other in others:
        if f"{other}/".startswith(f"{source}/") or f"{source}/".startswith(f"{other}/"):
            raise PlanError(f"{printable(other)} and {printable(source)} lie in each other: name a folder apart")


def _refuse_taken(folder: Store, destination: Store, digest: str) -> None:
    """Refuse a folder that has a plan, and copies of something else, which might be written over. Raises PlanError."""
    with suppress(Missing):
        folder.read(FILE)
        raise _taken(folder)
    copy, done = (next(destination.keys(prefix), None) for prefix in (COPIES, DONE))
    if done is not None and not done.rpartition("/")[2].startswith(f"{digest}."):
        words = "holds copies that were made under another policy, or by other models or another version"
        raise PlanError(f"{printable(destination.url)} {words}: name another --to")
    if copy is not None and done is None:
        raise PlanError(f"{printable(destination.url)}/{COPIES} holds files of something else: name another --to")


def _taken(folder: Store) -> PlanError:
    return PlanError(
        f"{printable(folder.url)} holds a plan: work it with uncnn-daemon archive work, or name another folder"
    )


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values, without its list."""
    return {**json.loads(plan.packed()), "digest": plan.digest}
