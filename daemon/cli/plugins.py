"""The commands of `uncnn-daemon plugins`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, Json

app = Commands("plugins", "Attacks: which are installed, and what they take.")


@app.command("list")
def list_plugins(json: Json = False) -> None:
    """List the attacks that are installed and where each comes from; one that is broken is listed with its fault.

    Example: uncnn-daemon plugins list
    """
    from uncnn.daemon.plugins import print_plugins

    raise typer.Exit(print_plugins(json))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="An attack, as `plugins list` names it.", show_default=False)],
    json: Json = False,
) -> None:
    """Show what an attack does, which paper it is from, and all that can be set.

    Exit status: 0 shown, 1 there is no such attack, or it is broken.

    Example: uncnn-daemon plugins show veil
    """
    from uncnn.daemon.plugins import show_plugin

    raise typer.Exit(show_plugin(name, json))
