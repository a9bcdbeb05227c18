"""The commands of `uncnn-daemon config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, ConfigFile

app = Commands("config", "Write, check and show the configuration.")


@app.command()
def init(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[WATCH PUBLISH]...",
            help="Pairs of folders; default: Outgoing and Cloaked in your pictures folder.",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing configuration; it is kept as config.yaml.old.")
    ] = False,
) -> None:
    """Write a commented configuration file and create its folders.

    Of every photo that you put into WATCH, a cloaked copy will appear in PUBLISH.

    Example: uncnn-daemon config init ~/Pictures/Outgoing ~/Pictures/Cloaked
    """
    from uncnn.daemon.commands.config_init import init_config

    raise typer.Exit(init_config(config, folders or (), force))


@app.command()
def check(config: ConfigFile = None) -> None:
    """Check the configuration, its folders, and every .uncnn.yaml file in them.

    Exit status: 0 no problem, 78 there are problems: each is listed, with its line in the file.

    Example: uncnn-daemon config check --config config.yaml
    """
    from uncnn.daemon.commands.config_check import check_config

    raise typer.Exit(check_config(config))


@app.command()
def show(
    config: ConfigFile = None,
    photo: Annotated[Path | None, typer.Option(help="Only the policy that applies to this photo.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 2) instead of YAML.")] = False,
) -> None:
    """Print the configuration in effect, including all default values.

    Example: uncnn-daemon config show --photo ~/Pictures/Outgoing/party.jpg
    """
    from uncnn.daemon.commands.config_check import show_config

    raise typer.Exit(show_config(config, photo, json))
