"""`config check` and `config show`: what holds, and whether it is right."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from uncnn.daemon.commands.folder_checks import remarks
from uncnn.daemon.config import Config, ConfigError, Folder, Policy, Problem, find_config, load
from uncnn.daemon.config.document import Document, read
from uncnn.daemon.config.overrides import NAME, overridden
from uncnn.daemon.files.folders import named
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.people.store import people_file, read_people
from uncnn.daemon.sandbox.entering import offered
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError
from uncnn.plugins.registry import make_attack, make_budget, make_target


def check_config(explicit: Path | None) -> int:
    """Say that the configuration is right, and how it will go; return the exit status.

    Raises ConfigError where it is wrong, or a folder cannot be used as it is.
    """
    file = find_config(explicit)
    config, document = load(file), read(file)
    if not document.value:
        raise ConfigError((document.problem((), "is empty: uncnn-daemon config init --force writes a complete one"),))
    found = list(remarks(config))
    problems = [document.problem(each.location, each.words) for each in found if each.kind == "problem"]
    problems += [problem for folder in config.folders for problem in _below(config, folder)]
    problems += _attacks(document, config)
    if problems:
        raise ConfigError(tuple(problems))
    folders = "1 folder" if len(config.folders) == 1 else f"{len(config.folders)} folders"
    lines = [f"{printable(file)} has no errors: {folders}, policies {', '.join(config.policies)}"]
    lines += [f"  {each.words}" if each.location else each.words for each in found]
    if not config.folders:
        lines.append("no folder is watched: add folders under `folders`")
    sys.stdout.write("\n".join([*lines, offered().words]) + "\n")
    return OK


def show_config(explicit: Path | None, photo: Path | None, as_json: bool) -> int:
    """Print the configuration, or the policy for one photo, and return the exit status. Raises ConfigError."""
    file = find_config(explicit)
    config = load(file)
    values = config.model_dump(mode="json") if photo is None else _policy_of(file, config, photo)
    if as_json:
        print_json({"file": str(file), **values})
    else:
        sys.stdout.write(f"# {printable(file)}\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}")
    return OK


def _policy_of(file: Path, config: Config, photo: Path) -> dict[str, Any]:
    path = named(photo)
    watched = watched_policy(config, path)
    if watched is not None:
        folder, policy = watched
        published = folder.publish / policy.released_name(path.relative_to(folder.watch))
        return {"published": str(published), "policy": policy.model_dump(mode="json")}
    raise ConfigError((Problem(file, 0, "folders", f"none of them contains {printable(path)}: add its folder"),))


def watched_policy(config: Config, path: Path) -> tuple[Folder, Policy] | None:
    """Return the folder that a photo is watched in and the policy that holds for it, or None. Raises ConfigError."""
    for folder in config.folders:
        if path.is_relative_to(folder.watch):
            return folder, overridden(config.policy_of(folder), folder.watch, path.relative_to(folder.watch))
    return None


def _attacks(document: Document, config: Config) -> Iterator[Problem]:
    for name, policy in config.policies.items():
        try:
            check_attack(policy)
        except UncnnError as error:
            yield document.problem(("policies", name, "attack"), str(error))


def check_attack(policy: Policy) -> None:
    """Check the attack's own parameters: it is loaded for that, which takes a moment. Raises UncnnError."""
    from uncnn.daemon.people.gallery import gallery  # torch

    attack = policy.attack
    make_attack(attack.name, attack.parameters)
    make_budget(attack.strength, attack.parameters)
    make_target(attack.parameters, lambda: gallery(read_people(people_file()))).check()


def _below(config: Config, folder: Folder) -> Iterator[Problem]:
    """Yield what is wrong with the files of policies in a watched folder."""
    for found in sorted(folder.watch.rglob(NAME)):
        try:
            overridden(config.policy_of(folder), folder.watch, found.relative_to(folder.watch))
        except ConfigError as error:
            yield from (problem for problem in error.problems if problem.file == found)
