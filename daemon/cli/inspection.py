"""The command `uncnn-daemon inspect`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import ConfigFile, Device, Json


def inspect(
    photo: Annotated[Path, typer.Argument(help="The photo; it is only read.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Draw the faces with their landmarks into this picture (.png)."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="A policy of the configuration; default: that of the photo's folder.")
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(help="none, camera or all-but-location: in place of what the policy keeps.")
    ] = None,
    faces: Annotated[bool, typer.Option("--faces/--no-faces", help="Find the faces, which takes a moment.")] = True,
    every: Annotated[bool, typer.Option("--all", help="All that the file says, not the most telling of it.")] = False,
    config: ConfigFile = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Show what a photo is, which faces it shows, and what its file says besides: place, camera, owner, previews.

    Each thing is marked with what the policy makes of it: kept, or removed. The policy is that of the watched folder
    that the photo lies in, else `everyday`, or the only one. The picture shows the faces: keep it as you keep the
    photos. Exit status: 0 shown, 1 it cannot be read or is of a kind that is not taken: the reason is said.

    Example: uncnn-daemon inspect holiday.jpg -o faces.png

    Example: uncnn-daemon inspect holiday.jpg --no-faces --metadata camera
    """
    from uncnn.daemon.inspection.command import inspect_photo, sight_for

    sight = sight_for(config, photo, policy, metadata, device, faces, output)
    raise typer.Exit(inspect_photo(sight, photo, every, json))
