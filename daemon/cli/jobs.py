"""The commands on photos in the ledger: `jobs`, `retry`, `held`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, ConfigFile, Device, Json
from uncnn.daemon.output import USAGE

held = Commands("held", "List, show, publish or drop photos that wait for your decision.")

Photos = Annotated[
    list[str] | None,
    typer.Argument(help="Numbers, paths or names of photos, as `jobs` lists them.", show_default=False),
]


def jobs(
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only photos in this state, such as published or held. Can be repeated."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List all photos, not only the newest 50.")] = False,
    ignored: Annotated[
        bool, typer.Option("--ignored", help="List the files in the watched folders that are ignored, and why.")
    ] = False,
    json: Json = False,
) -> None:
    """List all photos with their state and result, the newest last.

    Example: uncnn-daemon jobs --state published --state held
    """
    from uncnn.daemon.commands.jobs import print_ignored, print_jobs

    if ignored:
        raise typer.Exit(print_ignored(json))
    raise typer.Exit(print_jobs(state or (), None if every else 50, json))


def retry(
    photos: Photos = None,
    every: Annotated[
        bool, typer.Option("--all", help="All photos that failed, wait for another attempt or are blocked.")
    ] = False,
    strength: Annotated[
        str | None,
        typer.Option(
            help="The first strength to try for these photos, whatever their policy says: subtle, balanced, strong or"
            " utmost."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Cloak photos again that failed, were held or were skipped.

    The count of failed attempts starts from zero. A photo that was skipped because it is a published copy itself is
    cloaked anyway. A running service starts at once; otherwise the next run does it.

    Exit status: 0 all photos are queued, 1 a photo is in a state that cannot be retried, 2 there is no such photo.

    Example: uncnn-daemon retry 12 ~/Pictures/Outgoing/party.jpg

    Example: uncnn-daemon retry 12 --strength utmost
    """
    from uncnn.daemon.commands.jobs import retry as retry_photos

    _some(photos, every)
    raise typer.Exit(retry_photos(photos or (), every, json, strength))


@held.command("list")
def list_held(json: Json = False) -> None:
    """List the photos that wait for your decision, and why.

    Example: uncnn-daemon held list
    """
    from uncnn.daemon.commands.jobs import print_held

    raise typer.Exit(print_held(json))


@held.command()
def show(
    photo: Annotated[str, typer.Argument(help="The number, path or name of a held photo.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the comparison to this file (.html or .png); do not open it."),
    ] = None,
    config: ConfigFile = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Compare a held photo with the copy that would be published.

    Opens a page in the browser on a desktop; otherwise prints where the page is. It shows the faces: treat it as
    carefully as the photos.

    Exit status: 0 shown, 1 the photo is not held, or its copy no longer exists, 2 there is no such photo.

    Example: uncnn-daemon held show 12
    """
    from uncnn.daemon.commands.held import show as show_photo

    raise typer.Exit(show_photo(photo, config, device, output, json))


@held.command()
def release(photos: Photos = None, json: Json = False) -> None:
    """Publish held photos although they are not protected.

    Publishes exactly the copy that `held show` shows. Face recognisers may link it to you. The decision applies to this
    content of the photo under this policy. Copies are kept for 30 days, the newest 200 at most; if a copy no longer
    exists, the service or the next `cloak` makes it again.

    Example: uncnn-daemon held release 12 party.jpg
    """
    from uncnn.daemon.commands.jobs import release as release_photos

    _some(photos, every=False, all_allowed=False)
    raise typer.Exit(release_photos(photos or (), json))


@held.command()
def leave(
    photo: Annotated[str, typer.Argument(help="The number, path or name of a held photo.", show_default=False)],
    face: Annotated[
        list[int] | None,
        typer.Option(help="The number of a face, as `held list` names it. Can be repeated.", show_default=False),
    ] = None,
    not_a_person: Annotated[
        bool, typer.Option("--not-a-person", help="The face is that of an animal, a statue or a picture.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back what you decided about these faces; without --face, about all.")
    ] = False,
    json: Json = False,
) -> None:
    """Leave faces of a held photo as they are, and cloak the photo again.

    Face recognisers may recognise these faces. All other faces must be protected before the photo is published. The
    decision applies to this content of the photo under this policy. It changes nothing if the face is not found again,
    or if several overlap where it was.

    Exit status: 0 the photo is queued, 1 it is in a state in which nothing can be decided, or was changed, 2 there is
    no such photo or face.

    Example: uncnn-daemon held leave 12 --face 2 --not-a-person
    """
    from uncnn.daemon.commands.jobs import leave as leave_faces

    if not (face or undo):
        typer.echo("name faces with --face: uncnn-daemon held list has their numbers", err=True)
        raise typer.Exit(USAGE)
    if undo and not_a_person:
        typer.echo("give --undo or --not-a-person, not both", err=True)
        raise typer.Exit(USAGE)
    raise typer.Exit(leave_faces(photo, face or (), not_a_person, undo, json))


@held.command()
def drop(
    photos: Photos = None,
    every: Annotated[bool, typer.Option("--all", help="All photos that wait for your decision.")] = False,
    json: Json = False,
) -> None:
    """Decide not to publish held photos.

    They are no longer listed. The originals stay where they are.

    Example: uncnn-daemon held drop 12
    """
    from uncnn.daemon.commands.jobs import drop as drop_photos

    _some(photos, every)
    raise typer.Exit(drop_photos(photos or (), every, json))


def _some(photos: list[str] | None, every: bool, all_allowed: bool = True) -> None:
    """Refuse a command without photos, and one with photos and --all."""
    if bool(photos) == every:
        missing = "name the photos: uncnn-daemon jobs lists them" + ("; or give --all" if all_allowed else "")
        typer.echo("name photos or give --all, not both" if every else missing, err=True)
        raise typer.Exit(USAGE)
