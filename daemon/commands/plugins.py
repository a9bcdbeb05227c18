"""`plugins list` and `plugins show`: which attacks are installed, from where, and what can be set."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from uncnn.daemon.output import OK, print_json
from uncnn.daemon.text import printable
from uncnn.plugins.api import Budget
from uncnn.plugins.parameters import Parameter, parameters_of
from uncnn.plugins.registry import AIM, STRENGTHS, UnknownAttack, entries, load_attack


@dataclass(frozen=True, slots=True)
class Plugin:
    """An attack that is registered, whether it can be used or not."""

    name: str
    distribution: str  # and its version
    description: str = ""
    about: str = ""  # where it comes from, and where it departs from that
    parameters: Sequence[Parameter] = ()
    problem: str | None = None


def print_plugins(as_json: bool) -> int:
    """Print every registered attack, those that are broken too, and return the exit status."""
    found = [_looked_at(name, entry) for name, entry in sorted(entries().items())]
    if as_json:
        listed = [
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "description": plugin.description,
                "problem": plugin.problem,
            }
            for plugin in found
        ]
        print_json({"attacks": listed})
        return OK
    width = max((len(plugin.name) for plugin in found), default=0)
    source = max((len(plugin.distribution) for plugin in found), default=0)
    for plugin in found:
        words = f"broken: {plugin.problem}" if plugin.problem else plugin.description
        line = f"{plugin.name:{width}}  {plugin.distribution:{source}}  {' '.join(words.split())}"
        sys.stdout.write(f"{printable(line)}\n")
    return OK


def show_plugin(name: str, as_json: bool) -> int:
    """Print where an attack comes from and all that can be set with it, and return the exit status.

    Raises UnknownAttack: it is not installed, or broken.
    """
    load_attack(name)
    plugin = _looked_at(name, entries()[name])
    if as_json:
        print_json(_json(plugin))
    else:
        sys.stdout.write("\n".join(_text(plugin)) + "\n")
    return OK


def _looked_at(name: str, entry: EntryPoint) -> Plugin:
    distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""
    try:
        kind = load_attack(name)
        parameters = parameters_of(kind)
    except UnknownAttack as error:
        return Plugin(name, distribution, problem=str(error))
    own = inspect.cleandoc(kind.__doc__ or "")
    if own.startswith(f"{kind.__name__}("):  # what dataclass writes where nothing was said
        own = ""
    about = inspect.cleandoc(getattr(sys.modules.get(kind.__module__), "__doc__", None) or "")
    description = (own or about).partition("\n")[0]
    return Plugin(name, distribution, description, about or own, parameters)


def _aim() -> list[Parameter]:
    from uncnn.plugins.engine.aim import Aim

    return [each for each in parameters_of(Aim) if each.name in AIM]


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
        "aim": [_parameter_json(each) for each in _aim()],
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


def _text(plugin: Plugin) -> Iterator[str]:
    yield f"{plugin.name}, from {plugin.distribution}: {plugin.description}"
    yield from ("", plugin.about, "", "Parameters (--set NAME=VALUE, or under `attack` in a policy):")
    yield from (_line(each, _value(each.default)) for each in plugin.parameters)
    if not plugin.parameters:
        yield "  none"
    yield from ("", f"Limits of the change, at {', '.join(STRENGTHS)} (enforced for every attack):")
    for each in parameters_of(Budget):
        at = [_value(getattr(budget, each.name)) for budget in STRENGTHS.values()]
        yield _line(each, at[0] if len(set(at)) == 1 else ", ".join(at))
    yield from ("", "Objective:")
    yield from (_line(each, _value(each.default)) for each in _aim())


def _line(each: Parameter, value: str) -> str:
    told = "; ".join(part for part in (each.meaning, each.unit and f"in {each.unit}", each.values) if part)
    return f"  {each.name} = {value}" + (f"  ({told})" if told else "")


def _value(value: Any) -> str:
    """Return a value as it is written in a policy."""
    return str(value).lower() if isinstance(value, bool) else str(value)
