"""The command `uncnn-daemon serve`. Nothing heavy is imported before it runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from uncnn.daemon.cli.options import DeviceOrAuto


def serve(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Serve one client over standard input and output, as ssh has it done.")
    ] = False,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Serve clients that reach this port by https:// and have the access key; without HOST, at every"
            " address of this machine. Needs the extra `serve`.",
            show_default=False,
        ),
    ] = None,
    access_key: Annotated[
        bool,
        typer.Option("--access-key", help="Only print the access key: whoever has it may have faces changed here."),
    ] = False,
    new_access_key: Annotated[
        bool,
        typer.Option("--new-access-key", help="Make another access key, so that the old one opens nothing; print it."),
    ] = False,
    at_once: Annotated[
        int,
        typer.Option(min=1, max=64, help="So many clients at most with --listen; each takes its own models' memory."),
    ] = 2,
    device: DeviceOrAuto = "auto",
) -> None:
    """Change faces for another machine of yours: `cloak --server` runs this over ssh, or reaches it by https://.

    Nothing is stored and nothing is logged but the addresses of clients. The process that sees faces can write no file
    and open no connection. It sees the faces that are sent, where they lie in a photo, and how large that is: no name,
    no metadata, and nothing of what is around the faces.

    Exit status: 0 the client is done, or a signal ended --listen, 1 the client sent what is no message of uncnn's, or
    ended in the middle of one; the port is in use.

    Example: ssh box uncnn-daemon serve --stdio

    Example: uncnn-daemon serve --listen 8488
    """
    from uncnn.daemon.files.folders import data_dir

    if [stdio, listen is not None, access_key or new_access_key].count(True) != 1:
        raise typer.BadParameter(
            "give one of --stdio (which another machine runs, by cloak --server ssh://THIS-MACHINE), --listen PORT,"
            " --access-key and --new-access-key"
        )
    if access_key or new_access_key:
        from uncnn.daemon.commands.server_access import print_access_key

        raise typer.Exit(print_access_key(data_dir(), new_access_key))
    if listen is not None:
        from uncnn.daemon.commands.server_access import listen_for_clients

        raise typer.Exit(listen_for_clients(data_dir(), listen, device, at_once))
    if sys.stdin is not None and sys.stdin.isatty():
        raise typer.BadParameter("--stdio: nobody types to it; another machine runs this command, by cloak --server")
    from uncnn.daemon.remote.serving import serve as serve_client

    raise typer.Exit(serve_client(data_dir(), device))
