"""The commands of `uncnn-daemon plugins`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, Json

app = Commands("plugins", "List the installed attacks and detectors, and the parameters of attacks.")


@app.command("list")
def list_plugins(json: Json = False) -> None:
    """List the installed attacks and detectors, where they come from, and their faults.

    Example: uncnn-daemon plugins list
    """
    from uncnn.daemon.commands.plugins import print_plugins

    raise typer.Exit(print_plugins(json))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="The name of an attack or detector, as `plugins list` lists it.", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Show what an attack does, its paper, and its parameters; or what a detector is.

    Exit status: 0 shown, 1 there is no such plug-in, or it cannot be loaded.

    Example: uncnn-daemon plugins show veil
    """
    from uncnn.daemon.commands.plugins import show_plugin

    raise typer.Exit(show_plugin(name, json))
