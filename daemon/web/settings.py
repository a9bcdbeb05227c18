"""The page of settings: those that people change, written into the configuration file by its own checks.

What a browser names is looked up in a list of values that there are; nothing else of the file can be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

import yaml
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from uncnn.daemon.commands.requests import RELOAD_SECONDS
from uncnn.daemon.config import Config, ConfigError, FacesSection, Output, Policy
from uncnn.daemon.config.document import Location, spelled
from uncnn.daemon.config.policies import Section
from uncnn.daemon.control.messages import Reload
from uncnn.daemon.control.service_engine import ServiceLost, ask_service
from uncnn.daemon.text import printable
from uncnn.daemon.web.bodies import Refused, form
from uncnn.daemon.web.configured import Configured
from uncnn.daemon.web.rendering import render
from uncnn.daemon.web.site import Site, site_of
from uncnn.plugins.registry import STRENGTHS

if TYPE_CHECKING:
    from uncnn.daemon.config.editing import Edit

_SEEN: Final = "seen"
_ON_OFF: Final = {"on": True, "off": False}


def _choices(section: type[Section], name: str) -> tuple[str, ...]:
    """Return the words that a field of the configuration may have."""
    return get_args(section.model_fields[name].annotation)


_OF_A_POLICY: Final[dict[Location, tuple[str, ...]]] = {
    ("attack", "strength"): tuple(STRENGTHS),
    ("unprotected",): _choices(Policy, "unprotected"),
    ("no_face",): _choices(Policy, "no_face"),
    ("uncertain",): _choices(Policy, "uncertain"),
    ("videos",): _choices(Policy, "videos"),
    ("faces", "who"): _choices(FacesSection, "who"),
    ("metadata",): _choices(Policy, "metadata"),
    ("output", "format"): _choices(Output, "format"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A value that can be chosen on the page."""

    location: Location
    section: str  # the policy, or "folders", "service"
    label: str  # the name of its words; a folder's is the folder
    options: tuple[str, ...]
    value: str  # at present

    @property
    def name(self) -> str:
        """Return what the form calls it."""
        return spelled(self.location)


def fields_of(config: Config) -> list[Field]:
    """Return what can be chosen in a configuration, with what it says at present."""
    found = []
    for name, policy in config.policies.items():
        values = policy.model_dump(mode="json")
        for way, options in _OF_A_POLICY.items():
            here: Any = values
            for part in way:
                here = here[part]
            found.append(Field(("policies", name, *way), name, "_".join(map(str, way)), options, str(here)))
    policies = tuple(config.policies)
    for number, folder in enumerate(config.folders):
        found.append(Field(("folders", number, "policy"), "folders", printable(folder.watch), policies, folder.policy))
    notifies = "on" if config.service.notify else "off"
    return [*found, Field(("service", "notify"), "service", "notify", ("on", "off"), notifies)]


async def show_settings(request: Request) -> Response:
    """Answer with what applies, and what can be chosen."""
    outcome = request.query_params.get("outcome", "")
    return _page(site_of(request), outcome=outcome if outcome in {"saved", "taken", "unchanged"} else "")


async def change_settings(request: Request) -> Response:
    """Write what was chosen into the configuration file, and have the service take it up.

    Raises Refused: something was chosen that there is not.
    """
    site, given = site_of(request), await form(request)
    edits = _edits(site.config, given)
    if not edits:
        return RedirectResponse("/settings?outcome=unchanged", 303)
    try:
        problem = await asyncio.to_thread(save, site.configured, edits, given.get(_SEEN, ""))
    except ConfigError as error:
        return _page(site, 422, outcome="not-saved", problems=[str(each.message) for each in error.problems])
    if problem:
        return _page(site, 200, outcome="refused", problems=[problem])
    return RedirectResponse(f"/settings?outcome={'saved' if problem is None else 'taken'}", 303)


def _edits(config: Config, given: Mapping[str, str]) -> list[Edit]:
    """Return the values that are to be others than at present. Raises Refused."""
    from uncnn.daemon.config.editing import Edit  # a library of YAML, which nothing else of the page needs

    known, edits = {field.name: field for field in fields_of(config)}, []
    for name, value in given.items():
        if name == _SEEN:
            continue
        field = known.get(name)
        if field is None or value not in field.options:
            raise Refused(400, "choice")
        if value != field.value:
            edits.append(Edit(field.location, _ON_OFF[value] if field.section == "service" else value))
    return edits


def save(configured: Configured, edits: list[Edit], seen: str) -> str | None:
    """Write the file; return what the service says against it, "" where it works by it, None where none runs.

    Raises ConfigError: the file cannot be changed, would be wrong, or was changed since it was shown.
    """
    from uncnn.daemon.config.editing import edit_file

    edit_file(configured.file, edits, seen)
    configured.read_again()
    try:
        return ask_service(Reload(), RELOAD_SECONDS).problem
    except ServiceLost:
        return None


def _page(site: Site, status: int = 200, outcome: str = "", problems: list[str] | None = None) -> Response:
    values = yaml.safe_dump(site.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return render(
        "settings",
        status,
        file=printable(site.configured.file),
        seen=site.configured.seen(),
        fields=fields_of(site.config),
        policies=list(site.config.policies),
        values=values,
        outcome=outcome,
        problems=problems or [],
    )
