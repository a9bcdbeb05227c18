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


@app.command("set")
def set_command(
    values: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE", help="Values, named as in `config show`.", show_default=False),
    ],
    config: ConfigFile = None,
) -> None:
    """Change values of the configuration file. Its comments stay.

    The change is made only if the file is then right.

    Exit status: 0 changed, 2 not a value, 78 the file would be wrong: each problem is listed, nothing was changed.

    Example: uncnn-daemon config set policies.everyday.attack.strength=strong service.notify=true

    Example: uncnn-daemon config set 'folders[0].publish=~/Pictures/Shared'
    """
    from uncnn.daemon.commands.config_edit import set_values

    raise typer.Exit(set_values(config, values))


@app.command()
def unset(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Values, named as in `config show`.", show_default=False)
    ],
    config: ConfigFile = None,
) -> None:
    """Remove values from the configuration file, so that the defaults apply; or a folder.

    Example: uncnn-daemon config unset policies.everyday.attack.strength

    Example: uncnn-daemon config unset 'folders[1]'
    """
    from uncnn.daemon.commands.config_edit import unset_values

    raise typer.Exit(unset_values(config, names))


@app.command("add-folder")
def add_folder_command(
    watch: Annotated[Path, typer.Argument(help="The folder to watch.", show_default=False)],
    publish: Annotated[Path, typer.Argument(help="The folder for the cloaked copies.", show_default=False)],
    policy: Annotated[str | None, typer.Option(help="The name of its policy; default: everyday.")] = None,
    config: ConfigFile = None,
) -> None:
    """Add a watched folder to the configuration file; both folders are created where they are missing.

    Example: uncnn-daemon config add-folder ~/Pictures/Phone ~/Pictures/Cloaked/Phone
    """
    from uncnn.daemon.commands.config_edit import add_folder

    raise typer.Exit(add_folder(config, watch, publish, policy))


@app.command("add-server")
def add_server_command(
    address: Annotated[
        str,
        typer.Argument(help="Such as ssh://box, ssh://me@box:2222 or https://box:8488.", show_default=False),
    ],
    config: ConfigFile = None,
) -> None:
    """Add a machine of your own that changes faces to the configuration file.

    One that is reached by https:// has an access key, which is asked for, or read from standard input; on the server,
    `uncnn-daemon serve --access-key` prints it.

    Example: uncnn-daemon config add-server ssh://box

    Example: ssh box uncnn-daemon serve --access-key | uncnn-daemon config add-server https://box:8488
    """
    from uncnn.daemon.commands.server_access import add_server
    from uncnn.daemon.files.folders import data_dir

    raise typer.Exit(add_server(config, data_dir(), address))
