"""The command `uncnn-daemon web`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from uncnn.daemon.cli.options import ConfigFile, Device

PORT: Final = 8487
NEEDED: Final = ("starlette", "uvicorn", "h11", "jinja2", "segno")
"""Packages of the extra `web`."""


def web(
    config: ConfigFile = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on this machine; 0: any that is free.")] = PORT,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Another address under which the page is reached, such as http://localhost:9000 through ssh -L, or"
            " that of a reverse proxy. Can be repeated."
        ),
    ] = None,
    lan: Annotated[
        bool,
        typer.Option("--lan", help="Let other devices of your network in too, each by a link of its own; unencrypted."),
    ] = False,
    device: Device = None,
    link: Annotated[
        bool, typer.Option("--link", help="Only print a link to the page that runs already, or that systemd starts.")
    ] = False,
) -> None:
    """Serve a page on which you drop photos, see what happened and decide about held ones.

    Prints a link that works once and lets one browser in. The page is reached from this machine alone, unless you say
    --lan; nothing leaves it. Dropped photos are forgotten after an hour. Needs the extra `web`:
    pip install "uncnn[web]".

    Exit status: 1 the port is in use, 78 the configuration is wrong.

    Example: uncnn-daemon web

    Example: uncnn-daemon web --lan

    Example: uncnn-daemon web --link

    Example: uncnn-daemon web --origin https://photos.example.ts.net
    """
    from uncnn.plugins.extras import require

    require(*NEEDED)
    if link:
        from uncnn.daemon.web.announcing import print_links

        raise typer.Exit(print_links(port, origin or (), lan))
    from uncnn.daemon.cli.page_process import become_page

    become_page(config, port, origin or (), device, lan)
