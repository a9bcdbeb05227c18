"""Attacks and detectors by name: ours and strangers' come in by the same doors, two groups of entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, cast

from uncnn.plugins.api import Attack, Budget, Detector, DetectorSource, UncnnError
from uncnn.plugins.extras import REMEDIES, missing_words

if TYPE_CHECKING:
    from uncnn.plugins.engine.targets import AttackTarget, Gallery

ATTACKS = "uncnn.attacks"
DETECTORS = "uncnn.detectors"

# of a single pixel: thresholds of sight know nothing of strokes on a cheek and of the colour of eyes
_CAPS: Mapping[str, Any] = {"epsilon_255": 4.0, "texture": 2.0, "cap_255": 48.0, "chroma": 0.8}

STRENGTHS: Mapping[str, Budget] = {
    "subtle": Budget(visibility=9.0, contrast=0.7, **_CAPS),
    "balanced": Budget(visibility=14.0, contrast=1.0, **_CAPS),
    "strong": Budget(visibility=17.0, contrast=1.2, epsilon_255=5.0, texture=2.4, cap_255=56.0, chroma=0.8),
    "utmost": Budget(visibility=22.0, contrast=1.8, epsilon_255=8.0, texture=3.0, cap_255=64.0, chroma=0.8),
}
"""What each strength may spend, the weakest first; docs/budgets.md has what it looks like."""

TARGET_PARAMETERS = ("target", "objective")
"""Parameters of the target, whichever attack it is."""


class UnknownAttack(UncnnError):
    """No such attack, strength or parameter."""

    fault = "policy"


class UnknownDetector(UncnnError):
    """No such detector, or it cannot be loaded."""

    fault = "model"


def attack_names() -> list[str]:
    """Return the names of all registered attacks, sorted."""
    return sorted(entries())


def detector_names() -> list[str]:
    """Return the names of all registered detectors, sorted."""
    return sorted(entries(DETECTORS))


def entries(group: str = ATTACKS) -> dict[str, EntryPoint]:
    """Return where each attack, or what else is in `group`, is found, by its name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=group)}


def distribution_of(entry: EntryPoint) -> str:
    """Return what brought a plug-in, and its version; "" where nobody says."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""


def load_attack(name: str) -> type[Attack]:
    """Return the class that is registered as `name`.

    Raises:
        UnknownAttack: no attack has that name, it cannot be imported, or it is no dataclass with a method `perturb`.
    """
    kind = _loaded("attack", ATTACKS, name, UnknownAttack)
    if not (isinstance(kind, type) and is_dataclass(kind) and callable(getattr(kind, "perturb", None))):
        raise UnknownAttack(f"attack {name} is no dataclass with a method perturb: update it or choose another")
    return cast(type[Attack], kind)


def load_detector(name: str) -> Callable[[DetectorSource], Detector]:
    """Return the function that makes the detector registered as `name`.

    Raises:
        UnknownDetector: no detector has that name, it cannot be imported, or its entry point is no function.
    """
    make = _loaded("detector", DETECTORS, name, UnknownDetector)
    if not callable(make):
        raise UnknownDetector(f"detector {name} is no function of a DetectorSource: update it or choose another")
    return cast(Callable[[DetectorSource], Detector], make)


def make_detector(name: str, source: DetectorSource) -> Detector:
    """Return the detector registered as `name`, made from `source`; what others' detectors answer is checked.

    Raises:
        UnknownDetector: no detector has that name, or it cannot be made. DetectorError: its files are not sound.
    """
    from uncnn.plugins.detectors.checked import checked

    make = load_detector(name)
    try:
        return checked(name, make(source))
    except UncnnError:
        raise
    except (Exception, SystemExit) as error:  # a stranger's function may raise anything
        words = f"{type(error).__name__}: {error}"
        raise UnknownDetector(f"detector {name} cannot be made ({words}): update it or choose another") from error


def detector_entry(name: str) -> EntryPoint:
    """Return where the detector registered as `name` is found; nothing is imported. Raises UnknownDetector."""
    return _entry("detector", DETECTORS, name, UnknownDetector)


def _entry(what: str, group: str, name: str, failure: type[UncnnError]) -> EntryPoint:
    known = entries(group)
    if name not in known:
        raise failure(f"{what} {name!r} is not installed: choose one of {', '.join(sorted(known))}")
    return known[name]


def _loaded(what: str, group: str, name: str, failure: type[UncnnError]) -> Any:
    """Return what is registered as `name` in `group`. Raises a `failure`: nothing is, or it cannot be imported."""
    entry = _entry(what, group, name, failure)
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        if error.name not in REMEDIES:
            raise failure(f"{what} {name} cannot be loaded ({error}): update it or choose another") from error
        raise failure(f"{what} {name} cannot be loaded: {missing_words([error.name])}") from error
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        words = f"{type(error).__name__}: {error}"
        raise failure(f"{what} {name} cannot be loaded ({words}): update it or choose another") from error


def make_attack(name: str, parameters: Mapping[str, object]) -> Attack:
    """Return the attack registered as `name` with `parameters` of its own; those of the budget are left alone.

    Raises:
        UnknownAttack: no attack has that name, it cannot be loaded, has no such parameter, or refuses the value.
    """
    kind = load_attack(name)
    own = {
        key: value for key, value in parameters.items() if key not in _budget_fields() and key not in TARGET_PARAMETERS
    }
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type] # load_attack lets only dataclasses pass
    for key in own:
        if key not in known:
            allowed = ", ".join(sorted({*known, *_budget_fields(), *TARGET_PARAMETERS}))
            raise UnknownAttack(f"attack {name} has no parameter {key!r}: it takes {allowed}")
    try:
        attack: Attack = kind(**own)
    except (TypeError, ValueError) as error:
        raise UnknownAttack(f"attack {name}: {error}") from error
    return attack


def notes_of(attack: Attack) -> tuple[str, ...]:
    """Return what `attack` says that a person should know; most say nothing."""
    return tuple(str(note) for note in getattr(attack, "notes", ()))


def make_budget(strength: str, parameters: Mapping[str, object]) -> Budget:
    """Return the budget of `strength`, with those of `parameters` that are the budget's set.

    Raises:
        UnknownAttack: no strength has that name, or a value is no number above 0.
    """
    if strength not in STRENGTHS:
        raise UnknownAttack(f"strength {strength!r} does not exist: choose one of {', '.join(STRENGTHS)}")
    own = {key: value for key, value in parameters.items() if key in _budget_fields()}
    for key, value in own.items():
        wanted = int if key == "steps" else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted) or value < 0 or (key == "steps" and value < 1):
            raise UnknownAttack(f"{key} {value!r}: give a {'whole number above 0' if key == 'steps' else 'number'}")
    return replace(STRENGTHS[strength], **own)  # type: ignore[arg-type]


def make_target(parameters: Mapping[str, object], gallery: Callable[[], Gallery]) -> AttackTarget:
    """Return the target that `parameters` name; the `gallery` of enrolled people is read where it counts.

    Raises:
        UnknownAttack: no such objective. Whatever `gallery` raises.
    """
    from uncnn.plugins.engine.targets import AttackTarget, Gallery

    target, objective = _target_and_objective(parameters)
    if not isinstance(target, str):
        raise UnknownAttack(f"target {target!r}: choose none, synthetic, crowd, or the name of an enrolled person")
    if objective not in {"embeddings", "gallery"}:
        raise UnknownAttack(f"objective {objective!r} does not exist: choose embeddings or gallery")
    chosen: Literal["embeddings", "gallery"] = "gallery" if objective == "gallery" else "embeddings"
    return AttackTarget(target, chosen, gallery() if asks_for_people(parameters) else Gallery())


def asks_for_people(parameters: Mapping[str, object]) -> bool:
    """Return whether the target that `parameters` name depends on who is enrolled."""
    target, objective = _target_and_objective(parameters)
    return objective == "gallery" or target not in {"none", "synthetic", "crowd"}


def _target_and_objective(parameters: Mapping[str, object]) -> tuple[object, object]:
    return parameters.get("target", "none"), parameters.get("objective", "embeddings")


def _budget_fields() -> set[str]:
    return {field.name for field in fields(Budget)}
