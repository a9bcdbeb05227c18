"""The commands on photos in the ledger: `jobs`, `retry`, `held`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.answers import USAGE
from uncnn.daemon.cli.options import Commands, ConfigFile, Device, Json

held = Commands("held", "Photos that wait for a person, because they are not protected or cannot be read.")

Photos = Annotated[
    list[str] | None, typer.Argument(help="Numbers, paths or names of photos, as `jobs` has them.", show_default=False)
]


def jobs(
    state: Annotated[list[str] | None, typer.Option(help="Only photos in this state. Repeatable.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, not the newest 50.")] = False,
    ignored: Annotated[
        bool, typer.Option("--ignored", help="What lies in the watched folders and is not taken, and why.")
    ] = False,
    json: Json = False,
) -> None:
    """List the photos that were taken, and what became of each: the newest last.

    Example: uncnn-daemon jobs --state published --state held
    """
    from uncnn.daemon.jobs import print_ignored, print_jobs

    if ignored:
        raise typer.Exit(print_ignored(json))
    raise typer.Exit(print_jobs(state or (), None if every else 50, json))


def retry(
    photos: Photos = None,
    every: Annotated[bool, typer.Option("--all", help="All that failed, wait for an attempt or are blocked.")] = False,
    json: Json = False,
) -> None:
    """Try photos again, with all attempts before them.

    A photo that was skipped is done after all: a released copy that was put back is cloaked once more.

    A service at work begins at once, else the next run does.

    Exit status: 0 all are queued, 1 one of them is not in a state for that, 2 there is no such photo.

    Example: uncnn-daemon retry 12 ~/Pictures/Outgoing/party.jpg
    """
    from uncnn.daemon.jobs import retry as retry_photos

    _some(photos, every)
    raise typer.Exit(retry_photos(photos or (), every, json))


@held.command("list")
def list_held(json: Json = False) -> None:
    """List the photos that wait for you, and why.

    Example: uncnn-daemon held list
    """
    from uncnn.daemon.jobs import print_held

    raise typer.Exit(print_held(json))


@held.command()
def show(
    photo: Annotated[str, typer.Argument(help="The number, path or name of a held photo.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the comparison here (.html or .png) in place of opening it."),
    ] = None,
    config: ConfigFile = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Show a held photo before and after: the original, and the copy that was judged and that `release` publishes.

    A page opens where there is a desktop; else it says where the page lies. It shows the faces: keep it as you keep the
    photos. Exit status: 0 shown, 1 it is not held, or what is to be shown is gone, 2 there is no such photo.

    Example: uncnn-daemon held show 12
    """
    from uncnn.daemon.jobs import show as show_photo

    raise typer.Exit(show_photo(photo, config, device, output, json))


@held.command()
def release(photos: Photos = None, json: Json = False) -> None:
    """Publish photos at once though they are not protected: exactly the copies that were judged and that `show` shows.

    What you release, recognisers may link to you. It holds for this content of the photo under this policy. The copies
    are kept for 30 days, the newest 200: an older one is cloaked again for that, by the service or the next `cloak`.

    Example: uncnn-daemon held release 12 party.jpg
    """
    from uncnn.daemon.jobs import release as release_photos

    _some(photos, every=False)
    raise typer.Exit(release_photos(photos or (), json))


@held.command()
def drop(
    photos: Photos = None,
    every: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    json: Json = False,
) -> None:
    """Be done with photos that wait.

    They are not published, and the originals stay where they are.

    Example: uncnn-daemon held drop 12
    """
    from uncnn.daemon.jobs import drop as drop_photos

    _some(photos, every)
    raise typer.Exit(drop_photos(photos or (), every, json))


def _some(photos: list[str] | None, every: bool) -> None:
    """Refuse a step with nothing, and one with both."""
    if bool(photos) == every:
        typer.echo("give photos, or --all" if not every else "give photos or --all, not both", err=True)
        raise typer.Exit(USAGE)
