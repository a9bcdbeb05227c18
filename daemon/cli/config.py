"""The commands of `uncnn-daemon config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, ConfigFile

app = Commands("config", "The configuration: is it right, and what holds?")


@app.command()
def init(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[WATCH PUBLISH]...",
            help="Folders in pairs; default: Outgoing and Cloaked in your pictures.",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace one that is there; it is kept beside, as .old.")
    ] = False,
) -> None:
    """Write a configuration, with a comment on every field, for the folders that you name, and make these folders.

    Photos that you put into WATCH come out cloaked in PUBLISH.

    Example: uncnn-daemon config init ~/Pictures/Outgoing ~/Pictures/Cloaked
    """
    from uncnn.daemon.config.writing import init_config

    raise typer.Exit(init_config(config, folders or (), force))


@app.command()
def check(config: ConfigFile = None) -> None:
    """Check the configuration, its folders as they are, and every .uncnn.yaml in them.

    Exit status: 0 it is right, 78 it is wrong, or a folder cannot be used: every problem is named with its line.

    Example: uncnn-daemon config check --config config.yaml
    """
    from uncnn.daemon.config.showing import check_config

    raise typer.Exit(check_config(config))


@app.command()
def show(
    config: ConfigFile = None,
    photo: Annotated[Path | None, typer.Option(help="Only the policy that holds for this photo.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 2) instead of YAML.")] = False,
) -> None:
    """Print the whole configuration that holds, the defaults in it too.

    Example: uncnn-daemon config show --photo ~/Pictures/Outgoing/party.jpg
    """
    from uncnn.daemon.config.showing import show_config

    raise typer.Exit(show_config(config, photo, json))
