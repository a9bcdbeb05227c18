"""The commands of `uncnn-daemon config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import ConfigFile

app = typer.Typer(
    name="config", no_args_is_help=True, rich_markup_mode=None, help="The configuration: is it right, and what holds?"
)


@app.command()
def check(config: ConfigFile = None) -> None:
    """Check the configuration, and every .uncnn.yaml in the watched folders.

    Exit status: 0 it is right, 78 it is wrong: every problem is named with its line.

    Example: uncnn-daemon config check --config config.yaml
    """
    from uncnn.daemon.config.showing import check_config

    raise typer.Exit(check_config(config))


@app.command()
def show(
    config: ConfigFile = None,
    photo: Annotated[Path | None, typer.Option(help="Only the policy that holds for this photo.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 1) instead of YAML.")] = False,
) -> None:
    """Print the whole configuration that holds, the defaults in it too.

    Example: uncnn-daemon config show --photo ~/Pictures/Outgoing/party.jpg
    """
    from uncnn.daemon.config.showing import show_config

    raise typer.Exit(show_config(config, photo, json))
