"""The commands of `uncnn-daemon service`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands

app = Commands("service", "Let systemd run uncnn: for yourself, or for a user of this machine.")

For = Annotated[
    str,
    typer.Option(
        "--for", metavar="USER", help="The system's service for this user, with /etc/uncnn/USER/config.yaml; as root."
    ),
]
Gpu = Annotated[bool, typer.Option("--gpu", help="With --for: let it use an NVIDIA GPU.")]


@app.command()
def install(
    name: For = "",
    gpu: Gpu = False,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start it now and with the machine.")] = True,
) -> None:
    """Install the service, start it, and start it with the machine.

    Run it again after you changed the folders of a configuration: the system's service sees no others.

    Example: uncnn-daemon service install
    """
    from uncnn.daemon.service.installing import Wanted
    from uncnn.daemon.service.installing import install as install_service

    raise typer.Exit(install_service(Wanted(name, gpu), start))


@app.command()
def uninstall(name: For = "") -> None:
    """Stop the service and remove it; photos, state and configuration stay.

    Example: uncnn-daemon service uninstall
    """
    from uncnn.daemon.service.installing import Wanted
    from uncnn.daemon.service.installing import uninstall as uninstall_service

    raise typer.Exit(uninstall_service(Wanted(name)))


@app.command()
def show(name: For = "", gpu: Gpu = False) -> None:
    """Print what `install` would write.

    Example: uncnn-daemon service show --for alice
    """
    from uncnn.daemon.service.installing import Wanted
    from uncnn.daemon.service.installing import show as show_service

    raise typer.Exit(show_service(Wanted(name, gpu)))
