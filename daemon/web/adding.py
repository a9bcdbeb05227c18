"""A folder that is to be watched, added to the configuration file from the page.

The page looks at no such folder: what a browser names is checked for its form, and for lying where the user's own are.
Whether the folder can be used is the service's to say, once it has taken the configuration up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uncnn.daemon.config import Config, ConfigError
from uncnn.daemon.control.messages import Scan
from uncnn.daemon.control.service_engine import ServiceLost, ask_service
from uncnn.daemon.files.folders import FolderError, named
from uncnn.daemon.text import printable
from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.choices import first_policy
from uncnn.daemon.web.settings import save
from uncnn.daemon.web.site import Site
from uncnn.daemon.web.strings import said

SCAN_SECONDS: Final = 20.0
"""So long the service's answer about the new folder is waited for; afterwards it stands among the folders."""

_LONGEST: Final = 4096
_FOLDERS: Final = ("watch", "publish")


@dataclass(frozen=True, slots=True)
class Adding:
    """What was typed into the form, and what became of it: the name of its words, and what speaks against it."""

    given: Mapping[str, str]
    outcome: str = ""
    problems: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Return whether nothing was saved."""
        return self.outcome == "not-saved"


def form_json(site: Site, adding: Adding) -> dict[str, Any]:
    """Return what the form shows: what was typed, and the policies in plain words."""
    config = site.config
    return {
        "seen": site.configured.seen(),
        "given": {name: adding.given.get(name, "") for name in _FOLDERS},
        "policy": adding.given.get("policy") or first_policy(config),
        "policies": [
            {
                "name": name,
                "strength": policy.attack.strength,
                "unprotected": policy.unprotected,
                "no_face": policy.no_face,
                "metadata": policy.metadata,
            }
            for name, policy in config.policies.items()
        ],
        "outcome": adding.outcome,
        "problems": adding.problems,
    }


def add_folder(site: Site, given: Mapping[str, str]) -> Adding:
    """Write a pair of folders into the configuration file, and ask the service what it says of it.

    Raises Refused: the policy is none of the configuration's.
    """
    from uncnn.daemon.config.editing import added_folder  # a library of YAML, which nothing else of the page needs

    typed = {name: given.get(name, "").strip() for name in (*_FOLDERS, "policy")}
    if typed["policy"] not in site.config.policies:
        raise Refused(400, "choice")
    problems = tuple(_problems(typed, site.config))
    if problems:
        return Adding(typed, "not-saved", problems)
    try:
        edits = added_folder(site.configured.file, typed["watch"], typed["publish"], typed["policy"])
        problem = save(site.configured, edits, given.get("seen", ""))
    except ConfigError as error:
        return Adding(typed, "not-saved", tuple(str(each.message) for each in error.problems))
    if problem is None:
        return Adding({}, "saved")
    if problem:
        return Adding({}, "refused", (problem,))
    blocked = _blocked(typed["watch"])
    return Adding({}, "blocked", (blocked,)) if blocked else Adding({}, "taken")


def _problems(typed: Mapping[str, str], config: Config) -> Iterator[str]:
    """Yield what is wrong with the form of the folders, in words."""
    for name in _FOLDERS:
        reason = _wrong(typed[name], config)
        if reason:
            yield said("adding", reason).format(which=said("adding", name), folder=printable(typed[name]))


def _wrong(text: str, config: Config) -> str:
    """Return the name of what is wrong with the form of a folder: no file is looked at; "": nothing is."""
    if not text:
        return "empty"
    path = Path(text)
    if len(text) > _LONGEST or not text.isprintable() or ".." in path.parts:
        return "form"
    if not text.startswith(("/", "~/")):
        return "relative"
    roots = [Path.home(), *(each for folder in config.folders for each in (folder.watch, folder.publish))]
    try:
        absolute = named(path)
    except FolderError:
        return "relative"
    return "" if any(absolute != Path.home() and absolute.is_relative_to(root) for root in roots) else "outside"


def _blocked(watch: str) -> str:
    """Return why the service cannot use the folder that was added; "": it can, or does not say so in time."""
    try:
        scanned = ask_service(Scan(), SCAN_SECONDS)
    except ServiceLost:
        return ""
    return next((each.problem for each in scanned.folders if Path(each.folder) == named(Path(watch))), "")
