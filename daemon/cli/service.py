"""The commands of `uncnn-daemon service`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands
from uncnn.daemon.cli.web import NEEDED, PORT
from uncnn.plugins.extras import require

app = Commands("service", "Install and remove the background service (systemd).")

For = Annotated[
    str,
    typer.Option(
        "--for",
        metavar="USER",
        help="As root: a system service for this user, configured in /etc/uncnn/USER/config.yaml.",
    ),
]
Gpu = Annotated[bool, typer.Option("--gpu", help="With --for: allow the service to use an NVIDIA GPU.")]

Web = Annotated[
    bool, typer.Option("--web", help="Also serve the page, on this machine alone: uncnn-daemon web --link.")
]
WebPort = Annotated[int, typer.Option(min=1, max=65535, help="The port of the page; each user needs another one.")]


@app.command()
def install(
    name: For = "",
    gpu: Gpu = False,
    web: Web = False,
    web_port: WebPort = PORT,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start it now, and at every login or boot.")] = True,
) -> None:
    """Install the service for systemd, and start it.

    A user's service starts at login, a system service (--for) at boot. With --for, run this again after you change the
    folders in the configuration: a system service can access only those.

    Example: uncnn-daemon service install

    Example: uncnn-daemon service install --web
    """
    from uncnn.daemon.service.installing import Wanted
    from uncnn.daemon.service.installing import install as install_service

    if web:
        require(*NEEDED)
    raise typer.Exit(install_service(Wanted(name, gpu, web_port=web_port if web else None), start))


@app.command()
def uninstall(name: For = "") -> None:
    """Stop and remove the service; photos, state and configuration stay.

    Example: uncnn-daemon service uninstall
    """
    from uncnn.daemon.service.installing import Wanted
    from uncnn.daemon.service.installing import uninstall as uninstall_service

    raise typer.Exit(uninstall_service(Wanted(name)))


@app.command()
def show(name: For = "", gpu: Gpu = False, web: Web = False, web_port: WebPort = PORT) -> None:
    """Print the systemd units that `install` would write.

    Example: uncnn-daemon service show --for alice
    """
    from uncnn.daemon.service.installing import Wanted
    from uncnn.daemon.service.installing import show as show_service

    raise typer.Exit(show_service(Wanted(name, gpu, web_port=web_port if web else None)))
