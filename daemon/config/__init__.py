"""The configuration: which folders are watched, where their photos are published, and under which policy.

The names are a contract (DESIGN, Configuration): more may be added, none renamed. `config.yaml` at the top of the
repository is the documented sample.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo

from uncnn.daemon.config.checks import expand, field_finding, folder_findings, telling
from uncnn.daemon.config.document import ConfigError, Document, Problem, read
from uncnn.daemon.config.policies import Attack, FacesSection, Name, Names, Output, Policy, Protect, Section
from uncnn.daemon.config.servers import Address, AddressError
from uncnn.daemon.files.folders import named, usual_folder
from uncnn.plugins.recognisers.sessions import known_device
from uncnn.plugins.registry import detector_names

__all__ = [
    "DEFAULT_POLICY",
    "Attack",
    "Config",
    "ConfigError",
    "FacesSection",
    "Folder",
    "Models",
    "Output",
    "Policy",
    "Problem",
    "Protect",
    "Service",
    "config_file",
    "config_of",
    "find_config",
    "load",
]

DEFAULT_POLICY: Final = "everyday"


def _folder(value: Any, info: ValidationInfo) -> Any:
    """Expand a folder relative to the configuration file (`base` in the validation context)."""
    context = info.context or {}
    base = context["base"] if "base" in context else Path.cwd()  # which may be gone
    return expand(value, base) if isinstance(value, str) else value


def _auto_or_names(value: Any) -> Any:
    if value == "auto" or isinstance(value, list | tuple):
        return value
    raise ValueError(f"{value!r} is not valid: use auto, or a list [name, ...]")


def _list_or_nothing(value: Any) -> Any:
    return () if value is None else value


def _policies_or_nothing(value: Any) -> Any:
    return {DEFAULT_POLICY: {}} if value is None else value


ModelNames: TypeAlias = Annotated[Literal["auto"] | Names, BeforeValidator(_auto_or_names)]


def _detector(name: str) -> str:
    if name not in detector_names():
        raise ValueError(f"detector {name!r} is not installed: choose one of {', '.join(detector_names())}")
    return name


def _server(text: str) -> str:
    try:
        return Address.parse(text).text
    except AddressError as error:
        raise ValueError(str(error)) from error


class Models(Section):
    """Which recognisers are attacked, which judge, and what finds the faces."""

    surrogates: ModelNames = "auto"
    judges: ModelNames = "auto"
    licences: tuple[Literal["permissive", "research"], ...] = ("permissive",)
    detector: Annotated[str, AfterValidator(_detector)] = "retinaface"


class Folder(Section):
    """A watched folder, its publish folder and its policy."""

    watch: Annotated[Path, BeforeValidator(_folder)]
    publish: Annotated[Path, BeforeValidator(_folder)]
    policy: Name = DEFAULT_POLICY
    settle_seconds: Annotated[float, Field(strict=True, ge=0, le=3600, allow_inf_nan=False)] = 5.0


class Service(Section):
    """How the service that keeps watching goes about it."""

    deadline_seconds: Annotated[float, Field(strict=True, gt=0, le=86400, allow_inf_nan=False)] = 3600.0
    recycle_after: Annotated[int, Field(strict=True, ge=1)] = 500
    metrics: Annotated[Path | None, BeforeValidator(_folder)] = None
    notify: Annotated[bool, Field(strict=True)] = False
    apprise: Annotated[Path | None, BeforeValidator(_folder)] = None
    notify_names: Annotated[bool, Field(strict=True)] = False


class Config(Section):
    """The whole configuration; a missing section has its defaults."""

    version: Literal[1] = 1
    device: Annotated[str, AfterValidator(known_device)] = "auto"
    models: Models = Models()
    servers: Annotated[tuple[Annotated[str, AfterValidator(_server)], ...], BeforeValidator(_list_or_nothing)] = ()
    service: Service = Service()
    folders: Annotated[tuple[Folder, ...], BeforeValidator(_list_or_nothing)] = ()
    policies: Annotated[dict[Name, Policy], BeforeValidator(_policies_or_nothing)] = Field(
        default_factory=lambda: {DEFAULT_POLICY: Policy()}
    )

    def policy_of(self, folder: Folder) -> Policy:
        """Return the policy that holds for the photos of a folder."""
        return self.policies[folder.policy]


def load(path: Path) -> Config:
    """Return the configuration in a YAML file.

    Raises ConfigError with every problem at once.
    """
    return config_of(read(path.absolute()))


def config_of(document: Document) -> Config:
    """Return the configuration in a document. Raises ConfigError."""
    problems = list(document.doubled)
    config = None
    try:
        config = Config.model_validate(document.value, context={"base": document.file.parent})
    except ValidationError as error:
        problems += [document.problem(*field_finding(details, Config)) for details in telling(error.errors())]
    problems += _problems_between(document)
    if problems or config is None:
        raise ConfigError(tuple(sorted(problems, key=lambda problem: problem.line)))
    return config


def _problems_between(document: Document) -> list[Problem]:
    """Return what is wrong between sections, even where a section is wrong in itself."""
    given = document.value.get("policies") if isinstance(document.value, dict) else None
    known = {str(name) for name in given} if isinstance(given, dict) else {DEFAULT_POLICY}
    findings = folder_findings(document.value, document.file.parent, known, DEFAULT_POLICY)
    return [document.problem(*finding) for finding in findings]


def config_file(explicit: Path | None) -> Path:
    """Return where the configuration is, or would be: `explicit` (--config), $UNCNN_CONFIG, or the user's own.

    Raises FolderError: this user has no home.
    """
    environment = os.environ.get("UNCNN_CONFIG")
    if explicit is not None:
        return explicit
    return named(Path(environment)) if environment else usual_folder("config") / "config.yaml"


def find_config(explicit: Path | None) -> Path:
    """Return the configuration to use.

    Raises ConfigError where there is none. FolderError: this user has no home.
    """
    path = config_file(explicit)
    if not path.exists():
        remedy = "uncnn-daemon config init writes one; or give another file with --config or $UNCNN_CONFIG"
        raise ConfigError((Problem(path, 0, "", f"there is no such file: {remedy}"),))
    return path
