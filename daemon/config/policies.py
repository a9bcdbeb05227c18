"""A policy: how the photos of a folder are protected, and what happens to those that cannot be.

The names are a contract (DESIGN, Configuration): more may be added, none renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import string
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from uncnn.daemon.config.views import parse_view
from uncnn.daemon.files.formats import OFFERED, OutputFormat, WrittenAs
from uncnn.daemon.files.names import NAME_BYTES
from uncnn.plugins.api import Rotated, UncnnError
from uncnn.plugins.registry import STRENGTHS, attack_names

FARS: Final = (1e-2, 1e-3, 1e-4)
"""False accept rates that recognisers are calibrated at."""

PERMISSIONS: Final = {"private": 0o600, "group": 0o640, "everyone": 0o644}


class Section(BaseModel):
    """A section of the configuration: values that do not change and no key that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _empty_means_defaults(cls, value: Any) -> Any:
        return {} if value is None else value


def _far(value: Any) -> float:
    """Accept `1e-3` too, which YAML 1.1 reads as text because it has no point."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if number not in FARS or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a supported rate: use 1.0e-2, 1.0e-3 or 1.0e-4")
    return number


def _view(name: str) -> str:
    try:
        parse_view(name)
    except UncnnError as error:
        raise ValueError(str(error)) from error
    return name


def _margin(value: Any) -> Any:
    if value == "calibrated":
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"{value!r} is not a margin: use calibrated, or a number from 0 to 1")


def _attack_name(name: str) -> str:
    if name not in attack_names():
        raise ValueError(f"attack {name!r} is not installed: choose one of {', '.join(attack_names())}")
    return name


def _strength(name: str) -> str:
    if name not in STRENGTHS:
        raise ValueError(f"strength {name!r} does not exist: choose one of {', '.join(STRENGTHS)}")
    return name


def once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list in which a name stands twice."""
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise ValueError(f"{twice[0]!r} is given twice: remove one")
    return names


def _quality(value: Any) -> Any:
    if value == "same" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100):
        return value
    raise ValueError(f"{value!r} is not a quality: use same or a number from 1 to 100")


def _rotated(value: Any) -> Any:
    if value == "auto" or isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} is not valid: use auto, true or false")


def _file_name(template: str) -> str:
    """Check the template of published names: `{stem}` in it, `{suffix}` at its end, no folder."""
    try:
        fields = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError:
        fields = [("", "", "")]
    sound = all(field in (("stem", "", None), ("suffix", "", None)) for field in fields)
    named = "{stem}" in template and template.endswith("{suffix}")
    if not (sound and named) or "/" in template or not template.isprintable():
        raise ValueError(f"{template!r} is not a file name: use {{stem}}, then {{suffix}} at the end, without a slash")
    return template


Name: TypeAlias = Annotated[str, Field(min_length=1)]
Names: TypeAlias = Annotated[tuple[Name, ...], AfterValidator(once)]
AttackName: TypeAlias = Annotated[str, AfterValidator(_attack_name)]
Strength: TypeAlias = Annotated[str, AfterValidator(_strength)]
Who: TypeAlias = Literal["all", "all-but-enrolled", "only-enrolled"]
Margin: TypeAlias = float | Literal["calibrated"]
Metadata: TypeAlias = Literal["none", "camera", "all-but-location"]


class Attack(Section):
    """A registered attack; keys of its own are its parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    name: AttackName = "veil"
    strength: Strength = "balanced"

    @property
    def parameters(self) -> dict[str, JsonValue]:
        """Return what the configuration sets of the attack's own parameters."""
        return dict(self.__pydantic_extra__)


class Protect(Section):
    """What `protected` means: beyond the threshold at this FAR, by a margin, in every view.

    `margin` is a share of the distance that the threshold stands for; `calibrated` is that of each recogniser's card.
    """

    far: Annotated[float, BeforeValidator(_far)] = 1e-3
    views: Annotated[tuple[Annotated[str, AfterValidator(_view)], ...], Field(min_length=1), AfterValidator(once)] = (
        "as-is",
        "jpeg-75",
        "half-size",
        "blur-1",
    )
    margin: Annotated[Margin, BeforeValidator(_margin)] = "calibrated"


class FacesSection(Section):
    """Whose faces are cloaked, from which size on, and whether those are looked for that are not upright.

    `rotated`: auto looks at them where a glance at a small copy shows one.
    """

    who: Who = "all"
    smallest_px: Annotated[int, Field(strict=True, ge=1)] = 24
    rotated: Annotated[Rotated, BeforeValidator(_rotated)] = "auto"


class Output(Section):
    """How the published file is written and called."""

    format: OutputFormat = "same"
    quality: Annotated[int | Literal["same"], BeforeValidator(_quality)] = "same"
    name: Annotated[str, AfterValidator(_file_name)] = "{stem}{suffix}"
    times: Literal["now", "same"] = "now"
    permissions: Literal["usual", "private", "group", "everyone"] = "usual"

    @property
    def written_as(self) -> WrittenAs:
        """Return the encoder's name of the format."""
        return "same" if self.format == "same" else OFFERED[self.format].name

    @property
    def mode(self) -> int | None:
        """Return the permission bits of a published file; None: what the service's umask leaves of 0644."""
        return PERMISSIONS.get(self.permissions)


class Policy(Section):
    """One entry of `policies`."""

    attack: Attack = Attack()
    protect: Protect = Protect()
    escalate: Annotated[tuple[Strength, ...], AfterValidator(once)] = (
        "strong",
        "utmost",
    )
    unprotected: Literal["hold", "publish-anyway"] = "hold"
    no_face: Literal["publish", "hold", "skip"] = "publish"
    uncertain: Literal["hold", "cloak", "publish"] = "cloak"
    videos: Literal["cloak", "ignore"] = "cloak"
    faces: FacesSection = FacesSection()
    metadata: Metadata = "none"
    output: Output = Output()

    def released_name(self, relative: Path, longest: int = NAME_BYTES) -> Path:
        """Return the published name of a photo, by the template and the format.

        The stem of one that would be longer than so many bytes is shortened.
        """
        wanted = self.output.format
        suffix = relative.suffix if wanted == "same" else OFFERED[wanted].suffix

        def named(stem: str) -> str:
            return self.output.name.format(stem=stem, suffix=suffix)

        stem = relative.stem
        while len(stem) > 1 and len(os.fsencode(named(stem))) > longest:
            stem = stem[:-1]
        return relative.with_name(named(stem))

    def at_strength(self, strength: str) -> Policy:
        """Return this policy with another strength that is tried first, one of `STRENGTHS`."""
        return self.model_copy(update={"attack": self.attack.model_copy(update={"strength": strength})})

    def digest(self) -> str:
        """Return the sha256 of the policy's canonical JSON: another digest means that photos would come out else.

        Whether videos are taken changes nothing of what comes out.
        """
        canonical = json.dumps(self.model_dump(mode="json", exclude={"videos"}), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
