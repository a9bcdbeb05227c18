"""The commands of `uncnn-daemon people`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, ConfigFile, Device

app = Commands("people", "Enroll people whom a policy is to cloak, or not to cloak.")


@app.command()
def enroll(
    name: Annotated[str, typer.Argument(help="The person's name.", show_default=False)],
    photos: Annotated[list[Path], typer.Argument(help="Photos that show only this person.", show_default=False)],
    consent: Annotated[
        bool,
        typer.Option("--consent", help="The person agrees that other faces may be made to resemble theirs."),
    ] = False,
    mask: Annotated[
        bool,
        typer.Option("--mask", help="Also make a mask of the person, from at least 3 photos; takes minutes."),
    ] = False,
    config: ConfigFile = None,
    device: Device = None,
) -> None:
    """Enroll a person from three to ten photos, as different as possible.

    Replaces an earlier enrolment of that name. With `faces.who` in a policy you can then cloak all faces but theirs
    (all-but-enrolled), or only theirs (only-enrolled). Only the recognisers' embeddings of the face are stored, in the
    state folder, readable by you alone; with --mask also a mask: one change that is drawn at once on any later picture
    of the person, for live camera and video. Masked pictures are linked to each other more than cloaked photos are.

    Example: uncnn-daemon people enroll Ada ada1.jpg ada2.jpg ada3.jpg
    """
    from uncnn.daemon.commands.people import MASK_STEPS
    from uncnn.daemon.commands.people import enroll as enroll_person

    raise typer.Exit(enroll_person(name, photos, consent, config, device, MASK_STEPS if mask else None))


@app.command("list")
def list_people(
    json: Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 2) instead of text.")] = False,
) -> None:
    """List the enrolled people.

    Example: uncnn-daemon people list
    """
    from uncnn.daemon.commands.people import print_people

    raise typer.Exit(print_people(json))


@app.command()
def forget(
    names: Annotated[list[str], typer.Argument(help="The names of the people.", show_default=False)],
) -> None:
    """Delete everything that is stored about enrolled people.

    Example: uncnn-daemon people forget Ada
    """
    from uncnn.daemon.commands.people import forget as forget_people

    raise typer.Exit(forget_people(names))
