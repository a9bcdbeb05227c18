"""The command `uncnn-daemon augment`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import AttackName, ConfigFile, Device, Json, Licence, Parameters, PolicyName


def augment(
    photos: Annotated[
        Path,
        typer.Argument(help="A folder of photos, with its subfolders; nothing in it is changed.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the copies, apart from the photos.")],
    config: ConfigFile = None,
    policy: PolicyName = None,
    attack: AttackName = None,
    strength: Annotated[str | None, typer.Option(help="subtle, balanced, strong or utmost.")] = None,
    parameter: Parameters = None,
    licence: Licence = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Write spoofed copies of photos, to train face recognisers that withstand cloaks.

    All faces are changed at one strength, into a folder of the same structure. manifest.jsonl lists each photo with its
    SHA-256, its copy and its faces; recipe.json says how the copies were made. Run again, it makes only what is missing
    or would come out differently. Nothing checks that the copies protect anyone: do not share them, use `cloak` for
    that. In Python, uncnn.augment.Spoof does the same to batches while a network is trained.

    Exit status: 0 all photos done, 1 a photo could not be read or changed.

    Example: uncnn-daemon augment people/ -o spoofed/ --attack pgd --strength strong
    """
    from uncnn.daemon.commands.augment import augment_photos
    from uncnn.daemon.settings import settings_for

    settings = settings_for(config, policy, attack, strength, parameter, licence, device)
    raise typer.Exit(augment_photos(settings, photos, output, json))
