"""The command `uncnn-daemon inspect`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import ConfigFile, Device, Json


def inspect(
    photo: Annotated[Path, typer.Argument(help="The photo; it is not changed.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a picture (.png) with the faces and landmarks drawn in."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="A policy of the configuration; default: that of the photo's folder.")
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(help="none, camera or all-but-location, instead of the policy's `metadata`.")
    ] = None,
    faces: Annotated[bool, typer.Option("--faces/--no-faces", help="Search for faces, or skip that.")] = True,
    every: Annotated[bool, typer.Option("--all", help="List all metadata, not only the most revealing.")] = False,
    config: ConfigFile = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Show a photo's format, faces and metadata (place, owner, ...).

    Each item is marked with what the policy does with it: kept or removed. The policy is that of the watched folder
    that contains the photo; otherwise `everyday`, or the only policy. The picture shows the faces: store it as
    carefully as the photos.

    Exit status: 0 shown, 1 the photo cannot be read, or its format is not supported: the message says why.

    Example: uncnn-daemon inspect holiday.jpg -o faces.png

    Example: uncnn-daemon inspect holiday.jpg --no-faces --metadata camera
    """
    from uncnn.daemon.commands.inspect import inspect_options, inspect_photo

    options = inspect_options(config, photo, policy, metadata, device, faces, output)
    raise typer.Exit(inspect_photo(options, photo, every, json))
