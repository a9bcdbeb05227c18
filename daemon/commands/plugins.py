"""`plugins list` and `plugins show`: which attacks and detectors are installed, from where, and what can be set."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any

from uncnn.daemon.output import OK, print_json
from uncnn.daemon.text import printable
from uncnn.plugins.api import Budget, UncnnError
from uncnn.plugins.parameters import Parameter, parameters_of
from uncnn.plugins.registry import (
    DETECTORS,
    STRENGTHS,
    TARGET_PARAMETERS,
    distribution_of,
    entries,
    load_attack,
    load_detector,
)


@dataclass(frozen=True, slots=True)
class Plugin:
    """An attack or a detector that is registered, whether it can be used or not."""

    name: str
    distribution: str  # and its version
    description: str = ""
    about: str = ""  # where it comes from, and where it departs from that
    parameters: Sequence[Parameter] = ()
    problem: str | None = None


def print_plugins(as_json: bool) -> int:
    """Print every registered attack and detector, those that are broken too, and return the exit status."""
    attacks = [_looked_at(name, entry) for name, entry in sorted(entries().items())]
    detectors = [_looked_at(name, entry, load_detector) for name, entry in sorted(entries(DETECTORS).items())]
    if as_json:
        print_json({"attacks": list(map(_listed, attacks)), "detectors": list(map(_listed, detectors))})
        return OK
    found = [*attacks, *(replace(each, description=f"(detector) {each.description}") for each in detectors)]
    width = max((len(plugin.name) for plugin in found), default=0)
    source = max((len(plugin.distribution) for plugin in found), default=0)
    for plugin in found:
        words = f"broken: {plugin.problem}" if plugin.problem else plugin.description
        line = f"{plugin.name:{width}}  {plugin.distribution:{source}}  {' '.join(words.split())}"
        sys.stdout.write(f"{printable(line)}\n")
    return OK


def _listed(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "description": plugin.description,
        "problem": plugin.problem,
    }


def show_plugin(name: str, as_json: bool) -> int:
    """Print where an attack comes from and all that can be set with it, or what a detector is; return the exit status.

    Raises UnknownAttack, UnknownDetector: it is not installed, or broken.
    """
    if name in entries(DETECTORS) and name not in entries():
        load_detector(name)
        detector = _looked_at(name, entries(DETECTORS)[name], load_detector)
        if as_json:
            print_json({**_listed(detector), "about": detector.about})
        else:
            sys.stdout.write(f"{_head(detector)}\n\n{detector.about}\n")
        return OK
    load_attack(name)
    plugin = _looked_at(name, entries()[name])
    if as_json:
        print_json(_json(plugin))
    else:
        sys.stdout.write("\n".join(_text(plugin)) + "\n")
    return OK


def _looked_at(name: str, entry: EntryPoint, load: Callable[[str], Any] = load_attack) -> Plugin:
    distribution = distribution_of(entry)
    try:
        kind = load(name)
        parameters = () if load is load_detector else parameters_of(kind)
    except UncnnError as error:
        return Plugin(name, distribution, problem=str(error))
    own = inspect.cleandoc(kind.__doc__ or "") if isinstance(kind, type) else ""  # a function says what it returns
    if isinstance(kind, type) and own.startswith(f"{kind.__name__}("):  # what dataclass writes where nothing was said
        own = ""
    about = inspect.cleandoc(getattr(sys.modules.get(kind.__module__), "__doc__", None) or "")
    description = (own or about).partition("\n")[0]
    return Plugin(name, distribution, description, about or own, parameters)


def _target_parameters() -> list[Parameter]:
    from uncnn.plugins.engine.targets import AttackTarget

    return [each for each in parameters_of(AttackTarget) if each.name in TARGET_PARAMETERS]


def _json(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "description": plugin.description,
        "about": plugin.about,
        "parameters": [_parameter_json(each) for each in plugin.parameters],
        "budget": [
            {
                **_parameter_json(each),
                "strengths": {strength: getattr(budget, each.name) for strength, budget in STRENGTHS.items()},
            }
            for each in parameters_of(Budget)
        ],
        "aim": [_parameter_json(each) for each in _target_parameters()],
    }


def _parameter_json(each: Parameter) -> dict[str, Any]:
    plain = each.default is None or isinstance(each.default, bool | int | float | str)
    return {
        "name": each.name,
        "default": each.default if plain else repr(each.default),
        "unit": each.unit,
        "values": each.values,
        "meaning": each.meaning,
    }


def _head(plugin: Plugin) -> str:
    return f"{plugin.name}, from {plugin.distribution}: {plugin.description}"


def _text(plugin: Plugin) -> Iterator[str]:
    yield _head(plugin)
    yield from ("", plugin.about, "", "Parameters (--set NAME=VALUE, or under `attack` in a policy):")
    yield from (_line(each, _value(each.default)) for each in plugin.parameters)
    if not plugin.parameters:
        yield "  none"
    yield from ("", f"Limits of the change, at {', '.join(STRENGTHS)} (enforced for every attack):")
    for each in parameters_of(Budget):
        at = [_value(getattr(budget, each.name)) for budget in STRENGTHS.values()]
        yield _line(each, at[0] if len(set(at)) == 1 else ", ".join(at))
    yield from ("", "Objective:")
    yield from (_line(each, _value(each.default)) for each in _target_parameters())


def _line(each: Parameter, value: str) -> str:
    details = "; ".join(part for part in (each.meaning, each.unit and f"in {each.unit}", each.values) if part)
    return f"  {each.name} = {value}" + (f"  ({details})" if details else "")


def _value(value: Any) -> str:
    """Return a value as it is written in a policy."""
    return str(value).lower() if isinstance(value, bool) else str(value)
