"""What a command goes by: settings from the configuration and the command line, and the processes that it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from uncnn.daemon.config import DEFAULT_POLICY, Attack, Config, Models, Policy, find_config, load
from uncnn.daemon.config.document import ConfigError
from uncnn.daemon.config.servers import Address
from uncnn.daemon.control.messages import Footing
from uncnn.daemon.control.service_engine import EitherEngine, served
from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.files.publish import Snapshot, snapshot
from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.output import USAGE
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.protect.processes import stopped_by_sigterm
from uncnn.daemon.remote.engine import engine_for
from uncnn.plugins.api import UncnnError


class SettingsError(UncnnError):
    """An option of the command line that cannot be."""

    exit_status = USAGE


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run goes by."""

    models: Models
    device: str
    policy: Policy
    servers: tuple[str, ...] = ()  # that change faces
    service: bool = True  # whether the running service may be asked


def settings_for(
    config: Path | Config | None,
    policy: str | None,
    attack: str | None,
    strength: str | None,
    parameters: Sequence[str] | None,
    licences: Sequence[str] | None,
    device: str | None,
    any_policy: bool = False,
    servers: Sequence[str] | None = None,
) -> Settings:
    """Return the configuration's settings (the defaults where there is none) with the command line's put over them.

    `config` is the file, or a configuration that is used as it is.

    `any_policy`: the command has no policy to go by, so that the first one will do where there is no usual one.

    Raises:
        ConfigError: the configuration is wrong, or a named one is missing. SettingsError, AddressError: an option is.
    """
    found = config if isinstance(config, Config) else configuration(config)
    if any_policy and DEFAULT_POLICY not in found.policies:
        policy = next(iter(found.policies), None)
    chosen = named_policy(found, policy)
    changes: dict[str, Any] = {"name": attack, "strength": strength, **dict(map(_parameter, parameters or ()))}
    changes = {key: value for key, value in changes.items() if value is not None}
    if changes:
        chosen = chosen.model_copy(update={"attack": _attack({**chosen.attack.model_dump(), **changes})})
    models = found.models
    unknown = set(licences or ()) - {"permissive", "research"}
    if unknown:
        raise SettingsError(f"--licence {', '.join(sorted(unknown))}: choose permissive or research")
    if licences:
        models = models.model_copy(update={"licences": tuple(dict.fromkeys((*models.licences, *licences)))})
    named = tuple(Address.parse(text).text for text in servers) if servers else found.servers
    return Settings(models, device or found.device, chosen, named, service=not servers)


def taken(photo: Path, folder: Path) -> Snapshot:
    """Return a copy of a photo that a person named, in the private `folder`. Raises PublishError."""
    real = photo.resolve()
    return snapshot(real.parent, Path(real.name), folder)


@contextmanager
def work(
    models: Models, device: str, servers: Sequence[str] = (), service: bool = True
) -> Iterator[tuple[EitherEngine, Path]]:
    """Yield an engine, and a private folder that is removed at the end.

    The engine is that of the running service, if that may be asked and works with the same models on the same device;
    otherwise processes that are started when they are first asked, and `servers` that change faces.
    """
    footing = Footing.of(models, device, data_dir()) if service else None
    with own_processes(models, device, servers=servers) as (own, spool), served(footing, own) as engine:
        yield engine, spool


@contextmanager
def own_processes(
    models: Models, device: str, shipped_only: bool = False, servers: Sequence[str] = ()
) -> Iterator[tuple[ProcessEngine, Path]]:
    """Yield the processes, started when first asked, and a private folder that is removed at the end.

    `shipped_only`: models that do not come with uncnn are not looked for. `servers` change faces, if there are any.
    """
    sweep_workspaces()
    with (
        stopped_by_sigterm(),
        workspace() as spool,
        _searching(spool, shipped_only) as data,
        engine_for(models, device, data, spool, servers) as engine,
    ):
        yield engine, spool


@contextmanager
def _searching(spool: Path, shipped_only: bool) -> Iterator[Path]:
    """Yield the user's data directory, or an empty one while no other folder of models is named."""
    if not shipped_only:
        yield data_dir()
        return
    named = os.environ.pop("UNCNN_MODELS", None)
    try:
        yield spool / "no-models"
    finally:
        if named is not None:
            os.environ["UNCNN_MODELS"] = named


def configuration(explicit: Path | None) -> Config:
    """Return the named configuration, the user's where there is one, or the defaults. Raises ConfigError."""
    try:
        path = find_config(explicit)
    except ConfigError:
        if explicit is not None or "UNCNN_CONFIG" in os.environ:
            raise
        return Config()
    return load(path)


def named_policy(config: Config, name: str | None) -> Policy:
    """Return the policy of this name; without a name the usual one. Raises SettingsError."""
    name = name or usual_policy(config)
    if name is None:
        return Policy()
    if name not in config.policies:
        raise SettingsError(f"--policy {name!r} does not exist: choose one of {', '.join(config.policies)}")
    return config.policies[name]


def usual_policy(config: Config) -> str | None:
    """Return the name of the policy that is meant where none is named: everyday, or the only one; None: there is none.

    Raises SettingsError: there are several, none of which is called so.
    """
    names = list(config.policies)
    if len(names) < 2 or DEFAULT_POLICY in names:
        return DEFAULT_POLICY if DEFAULT_POLICY in names else next(iter(names), None)
    raise SettingsError(f"name a policy with --policy: one of {', '.join(names)}")


def _attack(values: dict[str, Any]) -> Attack:
    try:
        return Attack.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from error


def _parameter(text: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise SettingsError(f"--set {text!r}: write it as name=value, for example steps=20")
    return key, yaml.safe_load(value)
