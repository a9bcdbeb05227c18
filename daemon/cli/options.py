"""The options that several commands have, and those that all of them have."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from uncnn.daemon import output
from uncnn.plugins.recognisers.sessions import known_device

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="The configuration file; default: $UNCNN_CONFIG, then ~/.config/uncnn/config.yaml."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 2) instead of text.")]
Licence = Annotated[
    list[str] | None,
    typer.Option(
        "--licence", help="Also accept models with this kind of licence: research. (permissive is always accepted.)"
    ),
]


def _known(device: str | None) -> str | None:
    """Return what --device says. Raises BadParameter, before anything is loaded for it."""
    try:
        return device if device is None else known_device(device)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_DEVICE = typer.Option("--device", callback=_known, help="Where to compute: auto, cpu, cuda or cuda:N.")
Device = Annotated[str | None, _DEVICE]
DeviceOrAuto = Annotated[str, _DEVICE]
PolicyName = Annotated[
    str | None,
    typer.Option("--policy", help="The policy of the configuration to use; default: everyday, or the only policy."),
]
AttackName = Annotated[str | None, typer.Option("--attack", help="The attack; default: the policy's.")]
FirstStrength = Annotated[
    str | None, typer.Option("--strength", help="The first strength to try: subtle, balanced, strong or utmost.")
]
Parameters = Annotated[
    list[str] | None, typer.Option("--set", help="A parameter of the attack, such as steps=20. Can be repeated.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only problems.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more; if uncnn itself fails, the traceback.")]


class Commands(typer.Typer):
    """Commands that all have --help as -h, --quiet as -q and --verbose as -v."""

    def __init__(self, name: str, about: str, completion: bool = False) -> None:
        super().__init__(
            name=name,
            help=about,
            no_args_is_help=True,
            add_completion=completion,
            rich_markup_mode=None,  # plain help: rich takes longer to import than all else
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    def command(  # type: ignore[override] # what it takes besides is typer's
        self, name: str | None = None, **more: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return what makes a command of a function; one that has a `verbose` of its own keeps it."""
        register = super().command(name, **more)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_with_volume(function))
            return function

        return decorate


def _with_volume(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that heeds --quiet and --verbose besides its own parameters."""
    signature = inspect.signature(function, eval_str=True)
    added = {"quiet": Quiet, "verbose": Verbose}
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in added.items()
        if name not in signature.parameters
    ]

    @functools.wraps(function)
    def command(**given: Any) -> Any:
        output.quiet, output.talkative = given["quiet"], given["verbose"]
        own = {name: value for name, value in given.items() if name in signature.parameters}
        with ExitStack() as stack:
            if output.quiet:
                os.environ["TTY_COMPATIBLE"] = "0"  # rich draws no bar
                nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(nowhere))
            return function(**own)

    parameters = [*signature.parameters.values(), *more]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command
