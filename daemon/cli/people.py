"""The commands of `uncnn-daemon people`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import Commands, ConfigFile, Device

app = Commands("people", "People whom a policy treats otherwise: faces.who all-but-enrolled, or only-enrolled.")


@app.command()
def enroll(
    name: Annotated[str, typer.Argument(help="What the person is called.", show_default=False)],
    photos: Annotated[list[Path], typer.Argument(help="Photos that show the person alone.", show_default=False)],
    consent: Annotated[
        bool, typer.Option("--consent", help="They agree that attacks make others look like them to recognisers.")
    ] = False,
    config: ConfigFile = None,
    device: Device = None,
) -> None:
    """Enroll a person, or enroll them anew, with some photos: three to ten, as different as they come.

    What is kept is what the recognisers make of the face, in the state folder, readable by you alone.

    Example: uncnn-daemon people enroll Ada ada1.jpg ada2.jpg ada3.jpg
    """
    from uncnn.daemon.people.enrolling import enroll as enroll_person

    raise typer.Exit(enroll_person(name, photos, consent, config, device))


@app.command("list")
def list_people(
    json: Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 2) instead of text.")] = False,
) -> None:
    """List who is enrolled.

    Example: uncnn-daemon people list
    """
    from uncnn.daemon.people.enrolling import print_people

    raise typer.Exit(print_people(json))


@app.command()
def forget(
    names: Annotated[list[str], typer.Argument(help="Who is to be forgotten.", show_default=False)],
) -> None:
    """Forget people: what was kept of them is removed.

    Example: uncnn-daemon people forget Ada
    """
    from uncnn.daemon.people.enrolling import forget as forget_people

    raise typer.Exit(forget_people(names))
